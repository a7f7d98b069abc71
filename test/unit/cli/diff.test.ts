/** `pharos diff` over real files, with the real loader. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diff } from '../../../cli/diff.ts';
import type { Difference } from '../../../cli/render-diff.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { folderOf } from '../../support/pharos.ts';
import { captureOutput } from './captured-output.ts';

const database = writeMmdb([
  ['20.0.0.0/9', { country: { iso_code: 'KR' } }],
  ['20.128.0.0/9', { country: { iso_code: 'IE' } }],
]);
const SETTINGS = 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\n';
const ZONE = `zone: example.com
nameservers: [ns.example.net.]
records:
  mail: { A: [192.0.2.25, 192.0.2.26] }
  ftp: { A: 192.0.2.27 }
services:
  www:
    ttl: 20
    vips:
      seoul-a: { region: seoul, A: 203.0.113.10, weight: 3 }
      seoul-b: { region: seoul, A: 203.0.113.11 }
      dublin-a: { region: dublin, A: 192.0.2.10 }
    steer: [{ geo: { KR: seoul, default: dublin } }, weighted]
`;

type Case = { readonly settings?: string; readonly zone?: string };

async function compare(
  before: Case,
  after: Case,
  options: { json?: boolean; all?: boolean; api?: string } = {},
): Promise<{ code: number; out: string; error: string; old: string }> {
  const files = (name: string, { settings = SETTINGS, zone = ZONE }: Case): Record<string, string | Uint8Array> => ({
    [`${name}/pharos.yaml`]: settings,
    [`${name}/small.mmdb`]: database,
    [`${name}/zones/${/^zone: (\S+)/m.exec(zone)?.[1] ?? ''}.yaml`]: zone,
  });
  using folder = folderOf({ ...files('old', before), ...files('new', after) });
  const { output, out, error } = captureOutput();
  const old = join(folder.path, 'old');
  const { json = false, all = false, api } = options;
  // One is a folder, the other a file: both are accepted.
  const fresh = join(folder.path, 'new', 'pharos.yaml');
  const code = await diff({ before: old, after: fresh, api, token: undefined, json, all }, output);
  return { code, out: out(), error: error(), old };
}

async function difference(before: Case, after: Case, api?: string): Promise<Difference> {
  const { code, out, error } = await compare(before, after, { json: true, ...(api === undefined ? {} : { api }) });
  expect({ code, error }).toEqual({ code: 0, error: '' });
  return JSON.parse(out) as Difference;
}

const edited = (from: string, to: string): Case => {
  expect(ZONE).toContain(from);
  return { zone: ZONE.replace(from, to) };
};

describe('shared maps', () => {
  const MAPS = 'maps: { world: { KR: seoul, default: dublin } }\n';
  const shared = ZONE.replace('geo: { KR: seoul, default: dublin }', 'geo: $world');
  const two = shared + shared.slice(shared.indexOf('  www:')).replace('www', 'api');

  it('a service whose map moves out of it is the same', async () => {
    expect(await difference({}, { settings: SETTINGS + MAPS, zone: shared })).toMatchObject({
      services: [],
      maps: [{ map: 'world', change: 'added' }],
      traffic: [],
    });
  });

  it('a change of a map is told once, whatever the number of its services', async () => {
    const before = { settings: SETTINGS + MAPS, zone: two };
    const after = { settings: `${SETTINGS}maps: { world: { KR: dublin, JP: seoul, default: dublin } }\n`, zone: two };
    expect(await difference(before, after)).toMatchObject({
      services: [],
      maps: [{ map: 'world', change: 'changed', what: ['geo KR: seoul -> dublin', 'geo JP: no entry -> seoul'] }],
      traffic: [{ service: 'www.example.com' }, { service: 'api.example.com' }],
    });
    expect((await compare(before, after)).out).toContain('Maps\n  ~ world: geo KR: seoul -> dublin\n');
  });

  it('a map of the zone in place of the shared one is told for its zone', async () => {
    const before = { settings: SETTINGS + MAPS, zone: shared };
    const after = { settings: SETTINGS, zone: `${shared}maps: { world: { default: [dublin, seoul] } }\n` };
    expect(await difference(before, after)).toMatchObject({
      services: [
        { service: 'www.example.com', what: ['geo KR: seoul -> no entry', 'geo default: dublin -> dublin, seoul'] },
      ],
      maps: [
        { map: 'world', change: 'removed' },
        { map: 'world', zone: 'example.com', change: 'added' },
      ],
    });
  });
});

describe('pharos diff', () => {
  it('does not report what is equal', async () => {
    expect(await compare({}, {})).toMatchObject({ code: 0, out: 'No difference.', error: '' });
  });

  it('ignores the order of records, and comments', async () => {
    const other = edited('[192.0.2.25, 192.0.2.26] }\n', '[192.0.2.26, 192.0.2.25] } # both\n');
    expect((await compare({}, other)).out).toBe('No difference.');
  });

  it.each<[title: string, after: Case, lines: string[]]>([
    ['added', edited('  ftp:', '  new: { TXT: hello }\n  ftp:'), ['+ new.example.com 300 TXT "hello"']],
    ['removed', edited('  ftp: { A: 192.0.2.27 }\n', ''), ['- ftp.example.com 300 A 192.0.2.27']],
    [
      'changed in one of two values',
      edited('192.0.2.26]', '192.0.2.28]'),
      ['- mail.example.com 300 A 192.0.2.26', '+ mail.example.com 300 A 192.0.2.28'],
    ],
    [
      'changed in the TTL',
      edited('  ftp: { A', '  ftp: { ttl: 60, A'),
      ['- ftp.example.com 300 A 192.0.2.27', '+ ftp.example.com 60 A 192.0.2.27'],
    ],
  ])('shows a record %s', async (_title, after, lines) => {
    const { out } = await compare({}, after);
    expect(out).toBe(
      [
        'No client moves at a service that both configurations have.',
        '',
        'Records: 1 RRset',
        ...lines.map((line) => `  ${line}`),
      ].join('\n'),
    );
  });

  it.each<[title: string, after: Case, service: Partial<Difference['services'][number]>, moved: number]>([
    ['a TTL', edited('ttl: 20', 'ttl: { min: 5, max: 60 }'), { what: ['ttl: 20 s -> 5 to 60 s'] }, 0],
    ['a weight', edited('weight: 3', 'weight: 1'), { what: ['vip seoul-a weight: 3 -> 1'] }, 0.125],
    ['an address', edited('192.0.2.10', '192.0.2.11'), { what: ['vip dublin-a: 192.0.2.10 -> 192.0.2.11'] }, 0.5],
    ['a key of the map', edited('KR: seoul', 'KR: [dublin, seoul]'), { what: ['geo KR: seoul -> dublin, seoul'] }, 0.5],
    ['one more key', edited('KR: seoul,', 'KR: seoul, IE: seoul,'), { what: ['geo IE: no entry -> seoul'] }, 0.5],
    ['other steps', edited('weighted]', 'sticky]'), { what: ['steer: geo, weighted -> geo, sticky'] }, 0],
    ['a name of a VIP', edited('seoul-b', 'seoul-c'), { change: 'changed' }, 0],
    ['how many answers', edited('ttl: 20', 'ttl: 20\n    answers: 2'), { what: ['answers: 1 -> 2'] }, 0.125],
    [
      'a VIP more',
      edited('      dublin-a', '      seoul-c: { region: seoul, A: 203.0.113.12, weight: 4 }\n      dublin-a'),
      { what: ['vip seoul-c added: 203.0.113.12 in seoul, weight 4'] },
      0.25,
    ],
    [
      'the answer if all are down',
      edited('steer:', 'when_all_down: { A: 192.0.2.99 }\n    steer:'),
      { what: ['when_all_down: serve_all -> 192.0.2.99'] },
      0,
    ],
  ])('weighs %s', async (_title, after, service, moved) => {
    const { services, traffic } = await difference({}, after);
    expect(services).toMatchObject([{ service: 'www.example.com', ...service }]);
    expect(traffic[0]?.moved ?? 0).toBe(moved);
  });

  it('reports moves from VIP to VIP, and by country', async () => {
    const { traffic } = await difference({}, edited('KR: seoul', 'KR: [dublin, seoul]'));
    expect(traffic[0]).toMatchObject({
      moved: 0.5,
      regions: [{ from: 'seoul', to: 'dublin', share: 0.5 }],
      countries: [{ country: 'KR', clients: 0.5, moved: 0.5 }],
    });
    const { out } = await compare({}, edited('KR: seoul', 'KR: [dublin, seoul]'));
    expect(out).toContain('www.example.com A: 50.0 % of its clients get a different answer');
    expect(out).toMatch(/^ {2}KR +50.0 % +50.0 % +seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %$/m);
  });

  it('shows services, zones, regions and settings that were added and removed', async () => {
    const found = await difference(
      {},
      {
        settings: `${SETTINGS.replace('dublin: { at: IE }', 'dublin: { at: GB }')}limits: { tcp_clients: 7 }\n`,
        zone: ZONE.replaceAll('example.com', 'example.org').replace('  www:', '  web:'),
      },
    );
    expect(found).toMatchObject({
      settings: ['limits'],
      zones: { added: ['example.org'], removed: ['example.com'] },
      services: [
        { service: 'www.example.com', change: 'removed' },
        { service: 'web.example.org', change: 'added' },
      ],
      regions: [{ region: 'dublin', change: 'changed', what: ['at: IE -> GB'] }],
      traffic: [],
    });
  });

  it('finds the clients that move if only the place of a region changes', async () => {
    const near = ZONE.replace('{ geo: { KR: seoul, default: dublin } }', 'nearest');
    const { services, traffic } = await difference(
      { zone: near },
      {
        zone: near,
        settings: SETTINGS.replace('at: KR', 'at: IE').replace('dublin: { at: IE }', 'dublin: { at: KR }'),
      },
    );
    expect(services).toEqual([]);
    expect(traffic).toMatchObject([{ moved: 1 }]);
  });

  it('limits a long list, and shows all of it with --all', async () => {
    const many = Array.from({ length: 30 }, (_, n) => `  h${n}: { A: 192.0.2.${n} }\n`).join('');
    const after = edited('  ftp:', `${many}  ftp:`);
    const short = await compare({}, after);
    expect(short.out).toContain('Records: 30 RRsets');
    expect(short.out).toContain('10 more lines: --all shows them');
    const { out } = await compare({}, after, { all: true });
    expect(out.match(/^ {2}\+ h/gm)).toHaveLength(30);
  });

  it('weights by the counts of a server', async () => {
    const vips = [
      ['seoul-a', 100],
      ['seoul-b', 100],
      ['dublin-a', 1800],
    ].map(([vip, served]) => ({ target: `www.example.com/${vip}`, served }));
    const weigh = async (samples: number): Promise<Difference['traffic']> => {
      const countries = [{ country: 'IE', share: 0.3 }];
      const services = [{ name: 'www.example.com', clients: { samples, countries, rest: 0.7 } }];
      const document = { build: {}, traffic: {}, services, vips, alarms: [], not_ready: [] };
      const server = createServer((_request, response) => {
        response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const api = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
      const { traffic } = await difference({}, edited('KR: seoul', 'KR: [dublin, seoul]'), api);
      server.close();
      return traffic;
    };
    expect(await weigh(10)).toMatchObject([{ weighed: 'served', moved: 0.1 }]);
    expect(await weigh(2000)).toMatchObject([{ weighed: 'countries', moved: 0.7 }]);
  });

  it('shows the mistakes of either side, names the side, and exits 1', async () => {
    const broken = edited('weight: 3', 'weight: -3');
    const { code, out, error, old } = await compare(broken, {});
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(error).toContain(`${old}/zones/example.com.yaml:10:`);
    expect((await compare({}, broken)).code).toBe(1);
  });

  it('exits 2 if --api is not a URL', async () => {
    expect(await compare({}, {}, { api: 'ftp://127.0.0.1' })).toMatchObject({ code: 2, out: '' });
  });
});
