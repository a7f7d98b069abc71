/**
 * `pharos completion SHELL`: a script for the shell, made from the commands' own definitions.
 *
 * The scripts for bash and fish walk over the words of the line: commands are followed, values of options are skipped,
 * and other words are counted. Then they look up what can follow. In zsh, `_arguments` does that.
 */
import { type Argument, type Command, type Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(program: Command, shell: Shell): string {
  const spots = spotsOf(program, []);
  return { bash, zsh, fish }[shell](program.name(), spots);
}

/** What a word can be: a file, one of some words, or anything else. */
type Values = 'files' | 'text' | readonly string[];

type SpotOption = {
  /** `-h`, `--help`. */
  readonly names: readonly string[];
  readonly about: string;
  /** Undefined if it takes no value. */
  readonly value: Values | undefined;
  readonly placeholder: string;
  readonly repeats: boolean;
};

/** A place of the command line: after `pharos`, or after a command. */
type Spot = {
  /** The names of the commands: `[]`, `['check']`. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly SpotOption[];
  readonly words: readonly { readonly placeholder: string; readonly values: Values }[];
};

/** Placeholders of files, in the definitions of commands. */
const FILES: ReadonlySet<string> = new Set(['config', 'file', 'old', 'new']);

function spotsOf(command: Command, path: readonly string[]): readonly Spot[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  const names = below.map((each) => each.name());
  const options = help.visibleOptions(command).map((option) => ({
    names: [option.short, option.long].flatMap((name) => name ?? []),
    about: option.description,
    value: option.required || option.optional ? valuesOf(placeholderOf(option), option) : undefined,
    placeholder: placeholderOf(option),
    // A reader that collects values takes the earlier ones as its second argument.
    repeats: option.parseArg?.length === 2 && option.argChoices === undefined,
  }));
  const words = command.registeredArguments.map((argument) => ({
    placeholder: argument.name(),
    values: valuesOf(argument.name(), argument),
  }));
  const commands = below.map((each) => ({ name: each.name(), about: help.subcommandDescription(each) }));
  // commander adds the command `help`, which takes the name of another one.
  const ofHelp = [{ placeholder: 'command', values: names.filter((name) => name !== 'help') }];
  return [
    { path, commands, options, words },
    ...below.flatMap((each) => {
      const inner = [...path, each.name()];
      return each.name() === 'help'
        ? [{ path: inner, commands: [], options: [], words: ofHelp }]
        : spotsOf(each, inner);
    }),
  ];
}

function placeholderOf({ flags }: Option): string {
  return /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '';
}

function valuesOf(placeholder: string, { argChoices }: Pick<Argument, 'argChoices'>): Values {
  return argChoices ?? (FILES.has(placeholder) ? 'files' : 'text');
}

/** Every word in single quotes, as bash, zsh and fish read it. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Joins a place and a word, as the scripts for bash and fish do. */
function joined({ path }: Spot, word: string): string {
  return quote(`${path.join(' ')} ${word}`);
}

/** The patterns of the walk: commands to follow, and options with a value to skip. */
function walkPatterns(spots: readonly Spot[], between: string): { readonly follow: string; readonly skip: string } {
  const follow = spots.flatMap((spot) => spot.commands.map(({ name }) => joined(spot, name)));
  const skip = spots.flatMap((spot) =>
    spot.options
      .filter(({ value }) => value !== undefined)
      .flatMap(({ names }) => names.map((name) => joined(spot, name))),
  );
  return { follow: follow.join(between), skip: skip.join(between) };
}

function bash(name: string, spots: readonly Spot[]): string {
  const { follow, skip } = walkPatterns(spots, ' | ');
  const reply = (values: Values): string =>
    values === 'files' ? '_pharos_files' : values === 'text' ? ':' : `_pharos_words ${quote(values.join(' '))}`;
  const ofOptions = spots.flatMap((spot) =>
    spot.options.flatMap(({ names, value }) =>
      value === undefined
        ? []
        : [`    ${names.map((each) => joined(spot, each)).join(' | ')}) ${reply(value)}; return ;;`],
    ),
  );
  const flags = spots.map(
    (spot) =>
      `      ${quote(spot.path.join(' '))}) _pharos_words ${quote(spot.options.flatMap(({ names }) => names).join(' '))} ;;`,
  );
  const words = spots.flatMap((spot) => {
    const first = spot.commands.length > 0 ? [spot.commands.map((command) => command.name)] : [];
    return [...first, ...spot.words.map(({ values }) => values)].map(
      (values, position) => `    ${quote(`${spot.path.join(' ')}:${String(position)}`)}) ${reply(values)} ;;`,
    );
  });
  return `# Completion for bash: source <(${name} completion bash)
_pharos_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_pharos_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$cur"))
}
_pharos() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} at='' position=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      *' :' | *' =') i=$((i + 1)) ;; # bash splits words there
      ${follow}) at=\${at:+$at }\${COMP_WORDS[i]} ;;
      ${skip}) i=$((i + 1)) ;;
      *' -'*) ;;
      *) position=$((position + 1)) ;;
    esac
  done
  case "$at $prev" in
${ofOptions.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case $at in
${flags.join('\n')}
    esac
    return
  fi
  case "$at:$position" in
${words.join('\n')}
  esac
}
complete -F _pharos ${name}`;
}

function fish(name: string, spots: readonly Spot[]): string {
  const { follow, skip } = walkPatterns(spots, ' ');
  const line = (spot: Spot, position: number | undefined, ...parts: readonly string[]): string => {
    const where = [quote(spot.path.join(' ')), ...(position === undefined ? [] : [String(position)])].join(' ');
    return ['complete', '-c', name, '-n', `"__pharos_at ${where}"`, ...parts].join(' ');
  };
  const values = (given: Values): readonly string[] =>
    given === 'files' ? ['-F'] : given === 'text' ? [] : ['-a', quote(given.join(' '))];
  const lines = spots.flatMap((spot) => [
    ...spot.commands.map((each) => line(spot, 0, '-a', each.name, '-d', quote(each.about))),
    ...spot.words.flatMap((word, position) =>
      word.values === 'text' ? [] : [line(spot, position, ...values(word.values))],
    ),
    ...spot.options.map((option) => {
      const names = option.names.flatMap((each) =>
        each.startsWith('--') ? ['-l', each.slice(2)] : ['-s', each.slice(1)],
      );
      const value = option.value === undefined ? [] : [option.value === 'files' ? '-r' : '-x', ...values(option.value)];
      return line(spot, undefined, ...names, ...value, '-d', quote(option.about));
    }),
  ]);
  return `# Completion for fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __pharos_at
    set -l at ''
    set -l position 0
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch "$at $word"
            case ${follow}
                set at (string trim -- "$at $word")
            case ${skip}
                set skip yes
            case '* -*'
            case '*'
                set position (math $position + 1)
        end
    end
    test "$at" = "$argv[1]"; or return 1
    not set -q argv[2]; or test $position = $argv[2]
end
complete -c ${name} -f
${lines.join('\n')}`;
}

function zsh(name: string, spots: readonly Spot[]): string {
  const action = (values: Values): string =>
    values === 'files' ? '_files' : values === 'text' ? ' ' : `(${values.join(' ')})`;
  const escaped = (text: string): string => text.replaceAll(/[\\[\]:]/g, String.raw`\$&`);
  const functionOf = (path: readonly string[]): string => ['_pharos', ...path].join('_');
  const optionWords = ({ options }: Spot): readonly string[] =>
    options.flatMap(({ names, about, value, placeholder, repeats }) =>
      names.map((each) => {
        const others = repeats ? '*' : names.length > 1 ? `(${names.join(' ')})` : '';
        const rest = value === undefined ? '' : `:${escaped(placeholder)}:${action(value)}`;
        return quote(`${others}${each}[${escaped(about)}]${rest}`);
      }),
    );
  const functions = spots.map((spot) => {
    const { path, commands, words } = spot;
    const options = optionWords(spot);
    if (commands.length === 0) {
      // Beside a message for the argument, zsh lists a single matching option and does not insert it.
      const places = words.map(({ placeholder, values }) =>
        quote(
          `:${escaped(placeholder)}:${values === 'text' ? `_guard "^-*" ${escaped(placeholder)}` : action(values)}`,
        ),
      );
      const all = ['  _arguments', ...[...options, ...places].map((each) => `    ${each}`)];
      return `${functionOf(path)}() {\n${all.join(' \\\n')}\n}`;
    }
    const described = commands.map((each) => `    ${quote(`${each.name}:${escaped(each.about)}`)}`);
    const cases = commands.map((each) => `      ${each.name}) ${functionOf([...path, each.name])} ;;`);
    const all = ['  _arguments -C', ...[...options, quote('1: :->command'), quote('*:: :->rest')].map((each) => `    ${each}`)]; // prettier-ignore
    return `${functionOf(path)}() {
  local curcontext="$curcontext" state line
  typeset -A opt_args
  local -a commands
  commands=(
${described.join('\n')}
  )
${all.join(' \\\n')}
  case $state in
    command) _describe -t commands command commands ;;
    rest)
      case $words[1] in
${cases.join('\n')}
      esac ;;
  esac
}`;
  });
  return `#compdef ${name}
# Completion for zsh: ${name} completion zsh > "\${fpath[1]}/_${name}", or source <(${name} completion zsh)
${functions.join('\n')}
if [ "$funcstack[1]" = _pharos ]; then _pharos "$@"; else compdef _pharos ${name}; fi`;
}
