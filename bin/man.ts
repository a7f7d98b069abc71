/**
 * Manual pages, made from the help of the commands and from docs/configuration.md: pharos.1, a page for each command,
 * and pharos.yaml.5. bin/build.ts writes them into dist/man/.
 */

/** The help of one command, as bin/help/ and `--help` have it. */
export type Help = {
  /** `dnssec status`; empty for the program. */
  readonly command: string;
  readonly text: string;
};

type Entry = { readonly term: string; readonly text: string };

type Sections = {
  readonly usage: string;
  readonly description: readonly string[];
  /** `Arguments`, `Options` and `Commands`. */
  readonly entries: ReadonlyMap<string, readonly Entry[]>;
  readonly examples: readonly string[];
};

const EXIT_STATUS: readonly Entry[] = [
  { term: '0', text: 'Done.' },
  {
    term: '1',
    text: 'The request failed: the configuration has errors, the server cannot be reached, nothing matched.',
  },
  { term: '2', text: 'Wrong usage: an unknown command or option, a missing or malformed argument.' },
];

/**
 * Pages of section 1 by file name. A command of a command, such as `dnssec status`, is a section of its command's page.
 *
 * @param helps of the program and of all commands
 */
export function commandPages(helps: readonly Help[], version: string): ReadonlyMap<string, string> {
  const top = helps.filter(({ command }) => !command.includes(' '));
  const program = readHelp(top.find(({ command }) => command === '')?.text ?? '');
  const summaries = new Map(
    (program.entries.get('Commands') ?? []).map(({ term, text }) => [term.split(' ')[0] ?? '', text] as const),
  );
  return new Map(
    top.map(({ command, text }) => {
      const name = command === '' ? 'pharos' : `pharos-${command}`;
      const help = command === '' ? program : readHelp(text);
      const summary = command === '' ? 'authoritative DNS server that steers clients' : (summaries.get(command) ?? '');
      const below = helps.filter((each) => each.command.startsWith(`${command} `) && command !== '');
      const others = command === '' ? [...summaries.keys()].filter((each) => each !== 'help') : [];
      const lines = [
        title(name, 1, version),
        '.SH NAME',
        `${escape(name)} \\- ${escape(summary)}`,
        '.SH SYNOPSIS',
        synopsis(help.usage),
        '.SH DESCRIPTION',
        ...paragraphs(help.description),
        ...sections(help, '.SH'),
        ...below.flatMap((each) => {
          const inner = readHelp(each.text);
          return [
            `.SH ${escape(`pharos ${each.command}`.toUpperCase())}`,
            synopsis(inner.usage),
            '.PP',
            ...paragraphs(inner.description),
            ...sections(inner, '.SS'),
          ];
        }),
        '.SH EXIT STATUS',
        ...EXIT_STATUS.flatMap(tagged),
        '.SH SEE ALSO',
        [...(command === '' ? others.map((each) => `pharos-${each}(1)`) : ['pharos(1)']), 'pharos.yaml(5)']
          .map((each) => escape(each))
          .join(',\n'),
      ];
      return [`${name}.1`, `${lines.join('\n')}\n`];
    }),
  );
}

/** pharos.yaml.5, from the part of docs/configuration.md on pharos.yaml. */
export function configurationPage(markdown: string, version: string): string {
  const values = part(markdown, '## How values are written', '## pharos.yaml');
  const keys = part(markdown, '## pharos.yaml', '## Zone files');
  if (values === '' || keys === '') throw new Error('docs/configuration.md lacks the parts that pharos.yaml(5) needs');
  const lines = [
    title('pharos.yaml', 5, version),
    '.SH NAME',
    'pharos.yaml \\- configuration of the DNS server pharos',
    '.SH DESCRIPTION',
    ...fromMarkdown(keys),
    '.SH VALUES',
    ...fromMarkdown(values),
    '.SH SEE ALSO',
    'pharos(1),\npharos\\-serve(1),\npharos\\-check(1)',
  ];
  return `${lines.join('\n')}\n`;
}

function title(name: string, section: number, version: string): string {
  return `.TH ${escape(name).toUpperCase()} ${String(section)} "${today()}" "Pharos ${version}" "Pharos manual"`;
}

/** The date of the build; SOURCE_DATE_EPOCH makes builds reproducible. */
function today(): string {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  return (epoch === undefined ? new Date() : new Date(Number(epoch) * 1000)).toISOString().slice(0, 10);
}

function synopsis(usage: string): string {
  const [, command = usage, rest = ''] = /^(.*?)( [[<].*)?$/.exec(usage) ?? [];
  return `.B ${escape(command)}\n${escape(rest.trim())}`.trimEnd();
}

function paragraphs(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '.PP' : escape(line)));
}

function sections({ entries, examples }: Sections, macro: '.SH' | '.SS'): string[] {
  const shown = (name: string): string => (macro === '.SH' ? name.toUpperCase() : name);
  return [
    ...[...entries].flatMap(([name, list]) => [`${macro} ${shown(name)}`, ...list.flatMap(tagged)]),
    ...(examples.length > 0 ? [`${macro} ${shown('Examples')}`, '.nf', ...examples.map(escape), '.fi'] : []),
  ];
}

function tagged({ term, text }: Entry): string[] {
  return ['.TP', `.B ${escape(term)}`, escape(text)];
}

/** Sections of the help: the usage, paragraphs, then lists under `Arguments:` and the like. */
function readHelp(text: string): Sections {
  const [first = '', ...lines] = text.trimEnd().split('\n');
  const description: string[] = [];
  const entries = new Map<string, Entry[]>();
  const examples: string[] = [];
  let section: string | undefined;
  for (const line of lines) {
    const heading = /^(Arguments|Options|Commands|Example)s?:$/.exec(line)?.[1];
    if (heading !== undefined) {
      section = heading;
      if (heading !== 'Example') entries.set(heading, []);
    } else if (section === undefined) {
      description.push(line);
    } else if (section === 'Example') {
      if (line !== '') examples.push(line.trim());
    } else {
      addEntry(entries.get(section) ?? [], line);
    }
  }
  const usage = first.replace(/^Usage: /, '');
  return { usage, description: trimmed(description), entries, examples };
}

/** A line `  TERM  TEXT`, or the rest of the text before. */
function addEntry(list: Entry[], line: string): void {
  if (line === '') return;
  const entry = /^ {2}(\S.*?)(?: {2,}(.*))?$/.exec(line);
  const last = list.at(-1);
  if (entry) list.push({ term: entry[1] ?? '', text: entry[2] ?? '' });
  else if (last) list[list.length - 1] = { ...last, text: `${last.text} ${line.trim()}`.trim() };
}

function trimmed(lines: readonly string[]): string[] {
  const begin = lines.findIndex((line) => line !== '');
  return begin < 0 ? [] : lines.slice(begin, lines.findLastIndex((line) => line !== '') + 1);
}

function part(markdown: string, from: string, to: string): string {
  const begin = markdown.indexOf(`\n${from}\n`);
  const end = markdown.indexOf(`\n${to}\n`);
  return begin < 0 || end < begin ? '' : markdown.slice(begin + from.length + 2, end).trim();
}

/** Headings, tables, lists, code blocks and paragraphs. */
function fromMarkdown(markdown: string): string[] {
  const lines: string[] = [];
  for (const block of markdown.split(/\n{2,}/)) {
    if (block.startsWith('#')) lines.push(`.SS ${plain(block.replace(/^#+ /, ''))}`);
    else if (block.startsWith('|')) lines.push(...table(block));
    else if (block.startsWith('```')) lines.push('.PP', '.nf', ...block.split('\n').slice(1, -1).map(escape), '.fi');
    else if (block.startsWith('- ')) {
      for (const item of block.split(/^- /m).filter(Boolean)) lines.push('.IP \\(bu 2', plain(joined(item)));
    } else {
      // A paragraph macro after a heading does nothing.
      if (lines.at(-1)?.startsWith('.SS') !== true && lines.length > 0) lines.push('.PP');
      lines.push(plain(joined(block)));
    }
  }
  return lines;
}

/** A row per key: its first cell, then the others with the names of their columns. */
function table(block: string): string[] {
  const [head = [], , ...rows] = block.split('\n').map((row) =>
    row
      .replace(/^\||\|$/g, '')
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
  return rows.flatMap(([first = '', ...cells]) => {
    const described = cells.flatMap((cell, index) => {
      const name = head[index + 1] ?? '';
      if (cell === '' || name === 'since') return [];
      return [head.length === 2 || name === 'meaning' ? cell : `${name}: ${cell}`];
    });
    return ['.TP', `.B ${plain(first)}`, plain(described.join('; '))];
  });
}

function joined(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim();
}

/** Text without the signs of markdown. */
function plain(text: string): string {
  const words = text
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\*\*([^*]*)\*\*/g, '$1')
    .replaceAll('`', '')
    .replaceAll('\\|', '|');
  return escape(words);
}

/** As roff reads it: `\`, `-` and a leading `.` or `'` have a meaning there. */
function escape(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/gm, '\\&$&').replaceAll("'", '\\(aq');
}
