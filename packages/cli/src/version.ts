/** The version of this package; a test compares it with package.json, so that start-up reads no file for it. */
export const VERSION = "0.1.0";
