/**
 * The traffic of one service as text, for simulate and diff.
 */
import { percent } from '../config/units.ts';
import { NODATA, STATIC, type Move, type Traffic } from '../server/forecast/traffic.ts';
import { table, type Output } from './output.ts';

type Paint = Output['style'];

export type TrafficWords = {
  /** Text after the service's name. */
  readonly title: (traffic: Traffic) => string;
  /** Titles of the columns of shares. */
  readonly before: string;
  readonly after: string;
  /** Whether to show every country and move. */
  readonly all: boolean;
};

/** Lines of a list that are shown; the rest is summed up. */
const MAX_LINES = 10;

/** Lines without a final newline. */
export function renderTraffic(traffic: Traffic, words: TrafficWords, paint: Paint): string {
  const { moved } = traffic;
  const title = `${paint('bold', titleOf(traffic))}: ${words.title(traffic)}`;
  const parts = [
    ...strandedLines(traffic, paint),
    ...(moved === 0 && traffic.ipv6 ? ['only clients with IPv6 addresses move; their number is unknown'] : []),
    ...loadLines(traffic, paint),
    ...vipLines(traffic, words, paint),
    ...countryLines(traffic, words, paint),
  ];
  return [title, ...parts.map((line) => (line === '' ? '' : `  ${line}`))].join('\n');
}

const WEIGHED: Readonly<Record<Traffic['weighed'], string>> = {
  countries: 'the countries that their queries came from',
  served: 'the answers that named each VIP',
  addresses: 'IPv4 addresses',
};

/** How clients were weighed, as text. */
export function weightedBy(traffic: readonly Traffic[]): string {
  const found = new Set(traffic.map(({ weighed }) => weighed));
  const words = Object.entries(WEIGHED).filter(([by]) => found.has(by as Traffic['weighed']));
  return words.map(([, text]) => text).join('; where these are too few, by ');
}

/** `www.example.com`; with the type if A and AAAA have different VIPs. */
export function titleOf({ service, types }: Traffic): string {
  return types.length === 1 && types[0] !== 'CNAME' ? `${service} ${types[0] ?? ''}` : service;
}

function strandedLines({ stranded, vips }: Traffic, paint: Paint): string[] {
  const { before, after } = stranded;
  if (after === 0 || after === before) return [];
  // Other clients may have no VIP both before and after. The fallback that grows is that of the newly stranded clients.
  const fallback = vips.find((one) => one.after > one.before && (one.vip === NODATA || one.vip === STATIC))?.vip;
  const what =
    fallback === NODATA
      ? 'they get no answer'
      : fallback === STATIC
        ? 'they get the static answer of when_all_down'
        : 'when_all_down is serve_all: they are still sent to VIPs that are down';
  const whom = before > 0 && after > before ? `${percent(after - before)} more` : percent(after);
  return [paint('red', `! no VIP is left for ${whom} of its clients: ${what}`)];
}

/** VIPs that exceed their capacity, and loads that cannot be predicted. */
function loadLines({ vips, settles }: Traffic, paint: Paint): string[] {
  if (settles !== false && settles !== true) return [];
  if (!settles) {
    return [paint('yellow', '! the loads do not settle: the figures assume the present shedding')];
  }
  const over = vips.filter(({ load }) => (load?.settled ?? 0) > 1);
  if (over.length === 0) return [];
  const each = over.map(({ vip, load }) => `${vip} ${percent(load?.settled ?? 0)}`);
  const room = vips.some(({ after, load }) => after > 0 && (load?.settled ?? 1) < 1);
  const why = room ? '' : ', because no other VIP has room';
  return [paint('red', `! beyond capacity${why}: ${each.join(', ')}`)];
}

function vipLines({ vips }: Traffic, { before, after }: TrafficWords, paint: Paint): string[] {
  const loaded = vips.some(({ load }) => load);
  const head = ['VIP', 'REGION', before, after, '', ...(loaded ? ['LOAD', after] : [])].map((cell) =>
    paint('dim', cell),
  );
  const rows = vips
    .filter((vip) => vip.before > 0 || vip.after > 0)
    .map((vip) => [
      vip.vip,
      regionOf(vip.region),
      percent(vip.before),
      percent(vip.after),
      changeOf(vip, paint),
      ...(loaded ? loadCells(vip, paint) : []),
    ]);
  return rows.length === 0 ? [] : table([head, ...rows]).split('\n');
}

/** The load before and after. */
function loadCells({ load }: Traffic['vips'][number], paint: Paint): string[] {
  // An older server does not report loads.
  if (!load) return ['-', '-'];
  const { before, settled } = load;
  if (settled === null) return [percent(before), '?'];
  return [percent(before), settled > 1 ? paint('red', percent(settled)) : percent(settled)];
}

/** The factor by which the work changes: `x1.7`. */
function changeOf({ before, after }: Traffic['vips'][number], paint: Paint): string {
  if (before === after) return '';
  if (after === 0) return paint('red', 'none left');
  if (before === 0) return paint('yellow', 'new');
  const factor = after / before;
  const text = `x${factor.toFixed(factor < 10 ? 2 : 0)}`;
  return factor > 1 ? paint('yellow', text) : text;
}

function regionOf(region: string): string {
  return region === '' || region === NODATA || region === STATIC ? '-' : region;
}

function countryLines({ countries, moves }: Traffic, { all }: TrafficWords, paint: Paint): string[] {
  if (moves.length === 0) return [];
  const shown = all ? countries : countries.slice(0, countries.length > MAX_LINES + 1 ? MAX_LINES : MAX_LINES + 1);
  const rest = countries.slice(shown.length);
  const restMoved = rest.reduce((sum, { moved }) => sum + moved, 0);
  const head = ['COUNTRY', 'CLIENTS', 'MOVE', 'FROM -> TO'].map((cell) => paint('dim', cell));
  return [
    '',
    ...table([
      head,
      ...shown.map(({ country, clients, moved, moves: own }) => [
        country === '' ? 'none' : country,
        percent(clients),
        percent(moved),
        movesText(own, moved, all),
      ]),
      ...(rest.length === 0
        ? []
        : [
            [
              `${rest.length} more`,
              percent(rest.reduce((sum, { clients }) => sum + clients, 0)),
              percent(restMoved),
              '--all shows them',
            ],
          ]),
    ]).split('\n'),
  ];
}

/** Moves of one country that are shown; the rest is summed up. */
const MAX_MOVES = 3;

/** `seoul-a -> virginia-a`; with its share of the country's moves if there are several. */
function movesText(moves: readonly Move[], moved: number, all: boolean): string {
  const [only] = moves;
  if (only && moves.length === 1) return `${only.from} -> ${only.to}`;
  const shown = all ? moves : moves.slice(0, MAX_MOVES);
  const texts = shown.map(({ from, to, share }) => `${from} -> ${to} ${percent(moved === 0 ? 0 : share / moved)}`);
  return [...texts, ...(moves.length > shown.length ? [`${moves.length - shown.length} more`] : [])].join(', ');
}
