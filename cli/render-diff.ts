/**
 * A difference as text: clients that move, then changes of services and regions, then records.
 */
import { groupThousands, percent } from '../config/units.ts';
import type { Traffic } from '../server/forecast/traffic.ts';
import type { RecordChange } from './diff-records.ts';
import type { AliasChange, MapChange, RegionChange, ServiceChange } from './diff-services.ts';
import { plural, type Output } from './output.ts';
import { renderTraffic, weightedBy } from './render-traffic.ts';

/** What `pharos diff` finds, as plain JSON: the document of --json. */
export type Difference = {
  /** Keys of pharos.yaml that are not the same; regions are in `regions`. */
  readonly settings: readonly string[];
  readonly zones: { readonly added: readonly string[]; readonly removed: readonly string[] };
  readonly records: readonly RecordChange[];
  readonly services: readonly ServiceChange[];
  /** Shared maps that services use. */
  readonly maps: readonly MapChange[];
  readonly aliases: readonly AliasChange[];
  readonly regions: readonly RegionChange[];
  /** Services whose clients move. */
  readonly traffic: readonly Traffic[];
};

type Paint = Output['style'];

const STILL = 'No client moves at a service that both configurations have.';

/** Lines of a list that are shown; the rest is counted. */
const MAX_LINES = 20;

/** Lines without a final newline. `all`: show every line. */
export function renderDiff(difference: Difference, all: boolean, paint: Paint): string {
  const { settings, zones, records, services, aliases, maps, regions, traffic } = difference;
  const parts = [
    traffic.length === 0 ? STILL : `Clients are weighted by ${weightedBy(traffic)}.`,
    ...traffic.map((one) =>
      renderTraffic(
        one,
        {
          title: ({ moved }) =>
            moved === 0 ? 'no client moves' : `${percent(moved)} of its clients get a different answer`,
          before: 'OLD',
          after: 'NEW',
          all,
        },
        paint,
      ),
    ),
    list(
      'Services',
      services.flatMap((one) => changeLines(one.service, one)),
      all,
      paint,
    ),
    list('Aliases', aliases.flatMap(aliasLines), all, paint),
    list(
      'Maps',
      maps.flatMap((one) => changeLines(nameIn(one.map, one.zone), one)),
      all,
      paint,
    ),
    list(
      'Regions',
      regions.flatMap((one) => changeLines(nameIn(one.region, one.zone), one)),
      all,
      paint,
    ),
    list('Zones', [...zones.added.map((zone) => `+ ${zone}`), ...zones.removed.map((zone) => `- ${zone}`)], all, paint),
    list(`Records: ${plural(records.length, 'RRset')}`, records.flatMap(recordLines), all, paint),
    ...(settings.length === 0 ? [] : [`${paint('bold', 'Settings')} that differ: ${settings.join(', ')}`]),
  ].filter((part) => part !== '');
  return parts.length === 1 && traffic.length === 0 ? 'No difference.' : parts.join('\n\n');
}

function changeLines(name: string, { change, what }: Pick<ServiceChange, 'change' | 'what'>): string[] {
  if (change !== 'changed') return [`${change === 'added' ? '+' : '-'} ${name}`];
  return what.map((text) => `~ ${name}: ${text}`);
}

function aliasLines({ name, before, after }: AliasChange): string[] {
  return [
    ...(before === null ? [] : [`- ${name} ALIAS ${before}`]),
    ...(after === null ? [] : [`+ ${name} ALIAS ${after}`]),
  ];
}

function nameIn(name: string, zone: string | undefined): string {
  return zone === undefined ? name : `${name} of ${zone}`;
}

function list(title: string, lines: readonly string[], all: boolean, paint: Paint): string {
  if (lines.length === 0) return '';
  const shown = all ? lines : lines.slice(0, MAX_LINES);
  const rest = lines.length - shown.length;
  return [
    paint('bold', title),
    ...shown.map((line) => `  ${paintLine(line, paint)}`),
    ...(rest === 0 ? [] : [`  ${groupThousands(rest)} more lines: --all shows them`]),
  ].join('\n');
}

function paintLine(line: string, paint: Paint): string {
  return line.startsWith('+') ? paint('green', line) : line.startsWith('-') ? paint('red', line) : line;
}

/** The values that were added and removed; all values if the TTL differs. */
function recordLines({ owner, type, before, after }: RecordChange): string[] {
  const sameTtl = before?.ttl === after?.ttl;
  const lines = (sign: string, side: RecordChange['before'], other: RecordChange['before']): string[] =>
    (side?.values ?? [])
      .filter((value) => !sameTtl || other?.values.includes(value) !== true)
      .map((value) => `${sign} ${owner} ${side?.ttl ?? 0} ${type} ${value}`);
  return [...lines('-', before, after), ...lines('+', after, before)];
}
