import type { Command } from "commander";

export type Shell = "bash" | "zsh" | "fish";

/** One command as a shell sees it: where it stands (`/audit/list`), and the words that may follow it. */
interface Place {
  readonly path: string;
  readonly words: readonly Word[];
  readonly options: readonly (Word & { readonly takesValue: boolean; readonly choices: readonly string[] })[];
}
interface Word {
  readonly name: string;
  readonly description: string;
}

/** The completion script for a shell, made from the commands themselves: it names exactly what there is. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, "", program.options.map(toOption));
  switch (shell) {
    case "bash":
      return bash(places);
    case "zsh":
      return zsh(places);
    case "fish":
      return fish(places);
  }
}

function placesOf(command: Command, path: string, globals: Place["options"]): readonly Place[] {
  const own = command.parent === null ? [] : command.options.map(toOption);
  const argument = command.registeredArguments[0];
  const choices = command.name() === "completion" && argument !== undefined ? argument.description.split(", ") : [];
  const place: Place = {
    path: path === "" ? "/" : path,
    words: [
      ...command.commands.map((sub) => ({ name: sub.name(), description: sub.description() })),
      ...choices.map((name) => ({ name, description: "" })),
    ],
    options: [...own, ...globals, { name: "--help", description: "print this help", takesValue: false, choices: [] }],
  };
  return [place, ...command.commands.flatMap((sub) => placesOf(sub, `${path}/${sub.name()}`, globals))];
}

function toOption(option: Command["options"][number]): Place["options"][number] {
  return {
    name: option.long ?? option.short ?? "",
    description: option.description,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
  };
}

/** Every description is our own text; quotes are doubled all the same, so that a new one cannot break a script. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const fishQuote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** Paths below the root: the words that move the place on. */
const steps = (places: readonly Place[]): readonly string[] => places.map(({ path }) => path).filter((p) => p !== "/");
const valueOptions = ({ options }: Place): Place["options"] => options.filter(({ takesValue }) => takesValue);

function bash(places: readonly Place[]): string {
  const cases = places.map((place) => {
    const values = valueOptions(place).map(
      ({ name, choices }) =>
        `        ${name}) ${choices.length === 0 ? "return" : `COMPREPLY=($(compgen -W "${choices.join(" ")}" -- "$cur")); return`} ;;`,
    );
    const all = [...place.words, ...place.options].map(({ name }) => name).join(" ");
    return `    ${place.path})
      case "$prev" in
${values.join("\n")}
      esac
      words="${all}" ;;`;
  });
  return `# hoopish completion for bash: eval "$(hoopish completion bash)"
_hoopish() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" at="" words="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [ "\${COMP_WORDS[i]}" = "--" ]; then COMPREPLY=($(compgen -c -- "$cur")); return; fi
    case "$at/\${COMP_WORDS[i]}" in
      ${steps(places).join("|")}) at="$at/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "\${at:-/}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _hoopish hoopish
`;
}

function zsh(places: readonly Place[]): string {
  const item = ({ name, description }: Word): string => quote(`${name.replaceAll(":", "\\:")}:${description}`);
  const cases = places.map((place) => {
    const values = valueOptions(place).map(
      ({ name, choices }) =>
        `        ${name}) ${choices.length === 0 ? "_files" : `compadd -- ${choices.join(" ")}`}; return ;;`,
    );
    return `    ${place.path})
      case "\${words[CURRENT-1]}" in
${values.join("\n")}
      esac
      commands=(${place.words.map(item).join(" ")})
      options=(${place.options.map(item).join(" ")}) ;;`;
  });
  return `#compdef hoopish
# hoopish completion for zsh: eval "$(hoopish completion zsh)"
_hoopish() {
  local at="" i
  local -a commands options
  for (( i = 2; i < CURRENT; i++ )); do
    if [[ "\${words[i]}" == "--" ]]; then _command_names; return; fi
    case "$at/\${words[i]}" in
      (${steps(places).join("|")}) at="$at/\${words[i]}" ;;
    esac
  done
  case "\${at:-/}" in
${cases.join("\n")}
  esac
  (( \${#commands} )) && _describe 'command' commands
  _describe -o 'option' options
}
if [[ "\${funcstack[1]}" = "_hoopish" ]]; then _hoopish "$@"; else compdef _hoopish hoopish; fi
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words, options }) => {
    const here = `-n '__hoopish_at ${path}'`;
    return [
      ...words.map(
        ({ name, description }) => `complete -c hoopish ${here} -f -a ${fishQuote(name)} -d ${fishQuote(description)}`,
      ),
      ...options.map(({ name, description, takesValue, choices }) => {
        const flag = `-l ${name.replace(/^--/, "")}`;
        const value = !takesValue ? "" : choices.length === 0 ? " -r" : ` -x -a ${fishQuote(choices.join(" "))}`;
        return `complete -c hoopish ${here} ${flag}${value} -d ${fishQuote(description)}`;
      }),
    ];
  });
  return `# hoopish completion for fish: hoopish completion fish | source
function __hoopish_at
  set -l at ""
  for word in (commandline -opc)[2..-1]
    switch "$at/$word"
      case ${steps(places).join(" ")}
        set at "$at/$word"
    end
  end
  test "$at" = ""; and set at /
  test "$at" = "$argv[1]"
end
complete -c hoopish -e
${lines.join("\n")}
`;
}
