/** Names of users that a person takes for the same one are the same: case and compatibility forms do not matter (NFKC). */
export const foldName = (name: string): string => name.normalize("NFKC").toLowerCase();
