/**
 * `node bin/build-web.ts`: builds what the status page consists of, from web/ and from world-atlas, into
 * status/page/built/. These files are committed, so that a checkout needs no build step; test/unit/status/built.test.ts
 * fails if they are not up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { geoEqualEarth, geoPath, type GeoContext } from 'd3-geo';
import { rolldown } from 'rolldown';
import { feature } from 'topojson-client';
import { MAP_CENTRE, MAP_SCALE } from '../status/page/equal-earth.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

type Shape = { readonly properties: { readonly name: string }; readonly id?: string };
type Row = { readonly alpha2: string; readonly numeric: string };

/** The text of each built file, by its name in status/page/built/. */
export async function builtFiles(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['page-script.ts', moduleOf('SCRIPT', 'the script of the page, from web/page.ts', await buildScript())],
    ['page-style.ts', moduleOf('STYLE', 'the style of the page, from web/page.css', buildStyle())],
    ['world-map.ts', worldModule()],
  ]);
}

async function buildScript(): Promise<string> {
  const build = await rolldown({ input: join(ROOT, 'web/page.ts'), cwd: ROOT, platform: 'browser' });
  const { output } = await build.generate({ format: 'iife', minify: true });
  await build.close();
  return output[0].code.trim();
}

/** Without comments and indentation. */
function buildStyle(): string {
  return readFileSync(join(ROOT, 'web/page.css'), 'utf8')
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/\s*\n\s*/g, '\n')
    .trim();
}

function moduleOf(name: string, about: string, value: string): string {
  return `// Built by bin/build-web.ts: ${about}. Do not edit.\nexport const ${name} = ${JSON.stringify(value)};\n`;
}

/** Areas without a number in Natural Earth, by the country whose code databases use for them. */
const WITHOUT_NUMBER: ReadonlyMap<string, string> = new Map([
  ['Kosovo', 'XK'],
  ['N. Cyprus', 'CY'],
  ['Somaliland', 'SO'],
]);
/** The map ends north of it. */
const LEFT_OUT = 'AQ';

/** Writes paths in tenths, relative to the last point: half as long as absolute ones. */
function createPen(): { readonly context: GeoContext; readonly lift: () => string } {
  let text = '';
  /** The command of a new area; written with its first line, because some areas are a single point at this scale. */
  let begin = '';
  let [x, y] = [0, 0];
  let [startX, startY] = [0, 0];
  let [beforeX, beforeY] = [0, 0];
  const move = (toX: number, toY: number): string => {
    const [nextX, nextY] = [Math.round(toX * 10), Math.round(toY * 10)];
    const by = `${nextX - x}${nextY < y ? '' : ' '}${nextY - y}`;
    [x, y] = [nextX, nextY];
    return by;
  };
  return {
    context: {
      moveTo(toX, toY) {
        const [fromX, fromY] = [x, y];
        begin = `m${move(toX, toY)}l`;
        [beforeX, beforeY] = [fromX, fromY];
        [startX, startY] = [x, y];
      },
      lineTo(toX, toY) {
        const by = move(toX, toY);
        if (by === '0 0') return;
        text += begin;
        begin = '';
        text += /(?:l|^)$/.test(text) || by.startsWith('-') ? by : ` ${by}`;
      },
      closePath() {
        // Nothing was drawn.
        if (begin !== '') [startX, startY] = [beforeX, beforeY];
        else text += 'z';
        begin = '';
        [x, y] = [startX, startY];
      },
      beginPath: () => undefined,
      arc: () => undefined,
    },
    lift() {
      const drawn = text;
      text = '';
      [x, y] = [0, 0];
      return drawn;
    },
  };
}

/** The path of each country, in tenths of the coordinates of equal-earth.ts; areas of one country are one path. */
function worldModule(): string {
  const topology = JSON.parse(readFileSync(require.resolve('world-atlas/countries-110m.json'), 'utf8')) as Parameters<
    typeof feature
  >[0];
  const rows = JSON.parse(readFileSync(require.resolve('country-locale-map/countries.json'), 'utf8')) as readonly Row[];
  const codes = new Map(rows.map(({ numeric, alpha2 }) => [numeric.padStart(3, '0'), alpha2]));
  const { countries } = topology.objects;
  if (countries === undefined) throw new Error('world-atlas has no countries');
  const shapes = feature(topology, countries);
  const projection = geoEqualEarth().scale(MAP_SCALE).translate([MAP_CENTRE.x, MAP_CENTRE.y]);
  const pen = createPen();
  const path = geoPath(projection, pen.context);
  const areas = new Map<string, Parameters<typeof path>[0][]>();
  for (const shape of 'features' in shapes ? shapes.features : [shapes]) {
    const { id, properties } = shape as unknown as Shape;
    const code = id === undefined ? WITHOUT_NUMBER.get(properties.name) : codes.get(id.padStart(3, '0'));
    if (code === undefined) throw new Error(`no code for ${properties.name}`);
    if (code !== LEFT_OUT) areas.set(code, [...(areas.get(code) ?? []), shape]);
  }
  const drawn = [...areas].map(([code, own]): [string, string] => {
    for (const shape of own) path(shape);
    return [code, pen.lift()];
  });
  const sorted = drawn.sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    '// Built by bin/build-web.ts: shapes of countries from world-atlas (Natural Earth, public domain). Do not edit.',
    '/** Paths in tenths of the coordinates of the map, by ISO 3166-1 alpha-2 code. Countries that are too small have none. */',
    'export const SHAPES: ReadonlyMap<string, string> = new Map([',
    ...sorted.map(([code, path]) => `  ['${code}', '${path}'],`),
    ']);',
    '',
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, text] of await builtFiles()) writeFileSync(join(ROOT, 'status/page/built', name), text);
}
