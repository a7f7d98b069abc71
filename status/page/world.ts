/**
 * The map: every country in the colour of the region that most of its clients get now, hatched if that is not what they
 * get when everything is healthy; regions as dots; and the same as a table.
 */
import { percent } from '../../config/units.ts';
import { centroidOf, countryCodes } from '../../geo/countries.ts';
import type { ServiceMap } from '../../server/forecast/who-serves.ts';
import type { VipState } from '../vips.ts';
import { MAP_HEIGHT, MAP_WIDTH, project } from './equal-earth.ts';
import { downOf, html, keptFields, linkTo, shareWords, type PageQuery } from './markup.ts';

/** Colours for regions (page.css: `.r0` to `.r7`). More regions share colours. */
const COLOURS = 8;
/** Rows of the table; the rest is summed up. */
const MAX_COUNTRIES = 250;
/** A country whose shares differ by less is not hatched. */
const SAME = 0.005;

const names = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'code' });

export function countryName(code: string): string {
  if (code === '') return 'unknown country';
  return /^[A-Z]{2}$/.test(code) ? (names.of(code) ?? code) : code;
}

type Country = ServiceMap['countries'][number];
type Moment = 'now' | 'then';

export type ServiceWorld = {
  readonly map: ServiceMap;
  readonly moment: Moment;
  readonly colours: ReadonlyMap<string, string>;
};

export function createWorld(map: ServiceMap): ServiceWorld {
  const colours = new Map(map.regions.map(({ region }, index) => [region, `r${index % COLOURS}`]));
  return { map, moment: map.down.length > 0 ? 'then' : 'now', colours };
}

/** The shapes that all maps refer to, and the hatching. It never changes, so a refresh of the page leaves it out. */
export function shapesOnce(shapes: ReadonlyMap<string, string>): string {
  const dots = countryCodes()
    .filter((code) => !shapes.has(code) && code !== 'AQ')
    .map((code) => {
      const point = centroidOf(code);
      if (point === undefined) return '';
      const [x, y] = project(point.longitude, point.latitude);
      // In tenths like the paths, so that one pattern hatches both.
      const [cx, cy] = [Math.round(x * 10), Math.round(y * 10)];
      return y > MAP_HEIGHT ? '' : `<circle id="c-${code}" transform="scale(.1)" cx="${cx}" cy="${cy}" r="24"/>`;
    });
  const paths = [...shapes].map(([code, path]) => `<path id="c-${code}" transform="scale(.1)" d="${path}"/>`);
  return `<svg class="shapes" width="0" height="0" aria-hidden="true"><defs>
<pattern id="hatch" width="60" height="60" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatching" d="M30 0v60"/></pattern>
${paths.join('')}${dots.join('')}</defs></svg>`;
}

export function worldMap(world: ServiceWorld, states: readonly VipState[], query: PageQuery): string {
  const { map } = world;
  const known = new Map(map.countries.map((country) => [country.country, country]));
  const drawn = countryCodes()
    .filter((code) => code !== 'AQ')
    .map((code) => drawCountry(world, code, known.get(code), query));
  const dots = map.regions.map((region) => drawRegion(world, region, states));
  return `<svg class="world" viewBox="0 0 ${MAP_WIDTH} ${MAP_HEIGHT}" aria-hidden="true"><g class="lands">${drawn.join('')}</g>${dots.join('')}</svg>`;
}

function drawCountry(world: ServiceWorld, code: string, country: Country | undefined, query: PageQuery): string {
  const [first] = country?.[world.moment] ?? [];
  const colour = first === undefined ? 'r-none' : (world.colours.get(first.region) ?? 'r-out');
  const title = country === undefined ? `${countryName(code)}: no addresses` : describeCountry(world, country);
  const selected = query.country === code ? ' chosen' : '';
  const hatch = country !== undefined && isMoved(world, country) ? `<use href="#c-${code}" class="hatch"/>` : '';
  return `<a href="${linkTo(query, { country: code, client: undefined })}" tabindex="-1"><use href="#c-${code}" class="${colour}${selected}"/>${hatch}<title>${html(title)}</title></a>`;
}

/** `South Korea: seoul 100.0 %; when all are healthy: ...` */
function describeCountry({ moment }: ServiceWorld, country: Country): string {
  const now = listShares(country[moment]);
  const well = listShares(country.healthy);
  const size = `${shareWords(country.clients)} of clients`;
  return `${countryName(country.country)}: ${now}${now === well ? '' : `; all healthy: ${well}`}; ${size}`;
}

export function listShares(shares: Country['now']): string {
  const shown = shares.slice(0, 4).map(({ region, share }) => `${region || 'no region'} ${percent(share)}`);
  return shares.length > 4 ? `${shown.join(', ')}, ...` : shown.join(', ');
}

/** Whether the country's clients are somewhere else than with everything healthy. */
function isMoved({ moment }: ServiceWorld, country: Country): boolean {
  const before = new Map(country.healthy.map(({ region, share }) => [region, share]));
  return country[moment].some(({ region, share }) => share - (before.get(region) ?? 0) > SAME);
}

type Region = ServiceMap['regions'][number];

/** The VIPs of a region that are available, of all; and its largest load. */
function regionState(
  region: string,
  service: string,
  states: readonly VipState[],
): { all: number; available: number; load: number | undefined } {
  const own = states.filter((state) => state.region === region && state.service === service);
  const loads = own.flatMap(({ health }) => health?.load ?? []);
  return {
    all: own.length,
    available: own.filter(({ available }) => available).length,
    load: loads.length === 0 ? undefined : Math.max(...loads),
  };
}

function toneOf({ all, available }: { readonly all: number; readonly available: number }): 'good' | 'odd' | 'bad' {
  return available === 0 ? 'bad' : available < all ? 'odd' : 'good';
}

/** Of bold text of 26 px, about. */
const CHARACTER_WIDTH = 15;

function drawRegion(world: ServiceWorld, region: Region, states: readonly VipState[]): string {
  if (region.at === null) return '';
  const [x, y] = project(region.at.longitude, region.at.latitude);
  const tone = toneOf(regionState(region.region, world.map.service, states));
  const colour = world.colours.get(region.region) ?? 'r-none';
  const share = region[world.moment];
  const radius = 6 + 9 * Math.sqrt(share);
  const text = `${region.region} ${shareWords(share)}`;
  // Near the right edge the text is on the left of the dot. On a phone it is twice as large, in units of the map.
  const isRight = x + radius + 6 + text.length * CHARACTER_WIDTH > MAP_WIDTH;
  const textX = isRight ? x - radius - 6 : x + radius + 6;
  return `<g class="dot ${tone}"><circle class="${colour}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius.toFixed(1)}"/>${tone === 'bad' ? `<path d="M${(x - 4).toFixed(1)} ${(y - 4).toFixed(1)}l8 8m0-8l-8 8"/>` : ''}<text x="${textX.toFixed(1)}" y="${(y + 4).toFixed(1)}"${isRight ? ' text-anchor="end"' : ''}>${html(text)}</text></g>`;
}

/** The legend, which is also the form of "what if". */
export function regionList(world: ServiceWorld, states: readonly VipState[], query: PageQuery): string {
  const { map, moment, colours } = world;
  const down = new Set(downOf(query));
  const rows = map.regions.map((region) => {
    const target = `${map.service}/@${region.region}`;
    const state = regionState(region.region, map.service, states);
    const tone = toneOf(state);
    const before =
      moment === 'then' && region.then !== region.now ? `<span class="soft">${shareWords(region.now)} →</span> ` : '';
    const more = state.load === undefined ? '' : `, load ${percent(state.load)}`;
    const name = region.region === '' ? 'no region' : region.region;
    const box =
      region.region === ''
        ? '<td>'
        : `<td><input type="checkbox" name="down" value="${html(target)}"${down.has(target) ? ' checked' : ''} aria-label="What if ${html(name)} fails">`;
    return `<tr>${box}<td><i class="key ${colours.get(region.region) ?? ''}"></i> <a href="${linkTo({}, { region: region.region })}">${html(name)}</a><td class="${tone}">${state.available} of ${state.all} up${more}<td class="n">${before}<b>${shareWords(region[moment])}</b></tr>`;
  });
  return `<form class="regions auto" action="/">${keptFields(query, ['service', 'country', 'client'])}<input type="hidden" name="service" value="${html(map.service)}">
<table class="plain"><caption>Regions</caption><thead><tr><th>fails?<th>region<th>VIPs<th class="n">clients</tr></thead><tbody>${rows.join('\n')}</tbody></table>
<p class="buttons"><button class="noscript">What if these fail?</button>${down.size > 0 ? ` <a href="${linkTo(query, { down: undefined })}">Back to now</a>` : ''}</p></form>`;
}

const WEIGHED = {
  countries: 'the countries of recent queries',
  served: 'answers served',
  addresses: 'IPv4 addresses per country, because too few queries came yet',
} as const;

/** What the map says, in a sentence or two. */
export function mapWords({ map, moment }: ServiceWorld): string {
  const { moved, stranded } = map;
  const words =
    moment === 'then'
      ? [
          moved.then === 0
            ? 'Nothing moves if that fails.'
            : `<b>${shareWords(moved.then)}</b> of clients move if that fails.`,
        ]
      : [
          moved.now === 0
            ? 'All clients are served as when everything is healthy.'
            : `<b>${shareWords(moved.now)}</b> of clients are not served as when everything is healthy (hatched: another region).`,
        ];
  if (stranded[moment] > 0) {
    words.push(`<b class="bad">No VIP is left for ${shareWords(stranded[moment])} of clients.</b>`);
  }
  return `<p class="mapwords">${words.join(' ')} <span class="soft">Weighed by ${WEIGHED[map.weighed]}.</span></p>`;
}

/** The map as a table, for readers without it. */
export function countryTable(world: ServiceWorld, query: PageQuery): string {
  const { map, moment } = world;
  const shown = map.countries.slice(0, MAX_COUNTRIES);
  const rows = shown.map((country) => {
    const { country: code } = country;
    const name = html(countryName(code));
    const link = code === '' ? name : `<a href="${linkTo(query, { country: code, client: undefined })}">${name}</a>`;
    const moved = isMoved(world, country);
    return `<tr><td>${link}<td class="n">${shareWords(country.clients)}<td class="${moved ? 'odd' : ''}">${html(listShares(country[moment]))}<td>${moved ? html(listShares(country.healthy)) : 'the same'}</tr>`;
  });
  return `<details id="countries"><summary>The map as a table (${map.countries.length} countries)</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Countries"><table class="plain countries"><thead><tr><th>country<th class="n">clients<th>${moment === 'then' ? 'then' : 'now'}<th>all healthy</tr></thead><tbody>
${rows.join('\n')}
</tbody></table></div></details>`;
}
