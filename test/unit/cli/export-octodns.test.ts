/**
 * `pharos export --format octodns`: what `pharos import octodns` reads back gives the same answers.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { octodnsFile } from '../../../cli/export-octodns.ts';
import { importCommand } from '../../../cli/import.ts';
import { FORCED } from '../../../health/health-table.ts';
import { loadWithZones } from '../../../zones/load-generation.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering, folderOf, type Answering, type Files } from '../../support/pharos.ts';
import { createDice, printedSeed, trials, type Dice } from '../../support/random.ts';
import { captureOutput } from './captured-output.ts';
import { withBundledGeography } from './import/run-import.ts';
import { octodnsReasons } from './octodns-rules.ts';

const PLACES: readonly (readonly [network: string, continent: string, country: string, subdivision?: string])[] = [
  ['192.0.2.0/27', 'AS', 'KR'],
  ['192.0.2.32/27', 'AS', 'JP'],
  ['192.0.2.64/27', 'EU', 'DE'],
  ['192.0.2.96/27', 'EU', 'FR'],
  ['192.0.2.128/27', 'NA', 'US', 'CA'],
  ['192.0.2.160/27', 'NA', 'US', 'NY'],
  ['192.0.2.192/27', 'NA', 'MX'],
  ['192.0.2.224/27', 'AF', 'ZA'],
];
const GEOGRAPHY: Files = {
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\n',
  'small.mmdb': writeMmdb(
    PLACES.map(([network, continent, country, subdivision]) => [
      network,
      {
        continent: { code: continent },
        country: { iso_code: country },
        ...(subdivision === undefined ? {} : { subdivisions: [{ iso_code: subdivision }] }),
      },
    ]),
  ),
};
const CLIENTS = [
  ...PLACES.map(([network]) => network.replace(/\.(\d+)\/27$/, (_, last: string) => `.${Number(last) + 1}`)),
  '198.51.100.7',
  '203.0.113.99',
];
const HEAD = 'zone: example.com\nttl: 5m\nnameservers: [ns1]\nsoa: { serial: 7 }\n';

function exportOf(yaml: string) {
  using folder = folderOf({ ...GEOGRAPHY, 'zones/example.com.yaml': yaml });
  const loaded = loadWithZones({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  const [zone] = loaded.ok ? loaded.value.zones : [];
  if (!zone) throw new Error(JSON.stringify(loaded, undefined, 2));
  const file = octodnsFile(zone, '1.2.3');
  expect(octodnsReasons(file.text)).toEqual([]);
  return file;
}

/** The zone YAML that `pharos import octodns` makes of it. */
function importedAgain(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-test-'));
  try {
    const path = join(folder, 'example.com.yaml');
    writeFileSync(path, text);
    const { output, out, error } = captureOutput();
    const code = importCommand(
      { format: 'octodns', path, zone: undefined, nameServers: [], output: undefined, json: false },
      output,
      withBundledGeography(),
    );
    expect(code, error()).toBe(0);
    return out();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Values seen in many answers, each once. A chance of one in three is missed once in 10^14. */
function seen({ ask }: Answering, name: string, type: number, from: string): readonly string[] {
  const all = Array.from({ length: 80 }, () =>
    ask(name, type, { from }).answer.filter((each) => each.type === type || each.type === 5),
  );
  return [...new Set(all.flat().map(({ data }) => data))].toSorted();
}

const REGIONS = ['seoul', 'dublin', 'virginia', 'spare'];
const KEYS = ['KR', 'JP', 'DE', 'FR', 'US', 'US-CA', 'asia', 'europe', 'north-america', '198.51.100.0/24'];

/** A service with random pools, rules and order. */
function randomService(dice: Dice, name: string, number: number): string {
  const isName = dice.chance(0.2);
  const hasSix = !isName && dice.chance(0.5);
  const vips = REGIONS.flatMap((region, at) =>
    Array.from({ length: 1 + dice.below(2) }, (_, index) => {
      const last = 10 * at + index + 1;
      const data = isName
        ? `CNAME: v${number}-${last}.example.net.`
        : `A: 10.1.${number}.${last}${hasSix ? `, AAAA: "2001:db8:${number}::${last}"` : ''}`;
      return `      ${region}-${index}: { region: ${region}, ${data}, weight: ${1 + dice.below(2)} }`;
    }),
  );
  const some = (): string => {
    const list = REGIONS.filter(() => dice.chance(0.5));
    return `[${(list.length > 0 ? list : [dice.pick(REGIONS)]).join(', ')}]`;
  };
  const isFenced = dice.chance(0.4);
  const keys = KEYS.filter(() => dice.chance(0.5)).map((key) => `"${key}": ${some()}`);
  const choose = dice.chance(0.3)
    ? `{ failover: ${some()} }`
    : `{ geo: { ${[...keys, `default: ${some()}`].join(', ')} }${isFenced ? ', fence: true' : ''} }`;
  const down = isName
    ? '{ CNAME: sorry.example.net. }'
    : `{ A: 10.9.${number}.9${hasSix ? `, AAAA: "2001:db8:${number}::99"` : ''} }`;
  return `  ${name}:\n    ttl: ${30 + number}\n    vips:\n${vips.join('\n')}\n    steer: [ ${choose}, weighted ]\n    when_all_down: ${down}\n`;
}

test('random services: the same answers for random clients, with regions up and down', () => {
  const dice = createDice(printedSeed('export octodns'));
  const names = Array.from({ length: Math.max(3, trials(12)) }, (_, at) => `s${at}`);
  const yaml = `${HEAD}records: { ns1: { A: 192.0.2.53 } }\nregions: { ${REGIONS.map((region) => `${region}: {}`).join(', ')} }\nservices:\n${names.map((name, at) => randomService(dice, name, at)).join('')}`;
  const { text, notes } = exportOf(yaml);
  // The clients of the network have no place, so that this makes no difference.
  const expected = /^@: the SOA|: if all regions of a network are down/;
  expect(notes.filter((note) => !expected.test(note))).toEqual([]);
  const [before, after] = [
    answering({ ...GEOGRAPHY, 'zones/example.com.yaml': yaml }),
    answering({ ...GEOGRAPHY, 'zones/example.com.yaml': importedAgain(text) }),
  ];
  const targets = ({ generation }: Answering, name: string, region: string): readonly string[] =>
    generation.catalog.vips
      .map(({ target }) => target)
      .filter(
        (target) => target.startsWith(`${name}.example.com/${region}-`) || target === `${name}.example.com/${region}`,
      );
  for (let round = 0; round < Math.max(2, trials(4)); round++) {
    for (const name of names) {
      const down = REGIONS.filter(() => round > 0 && dice.chance(0.4));
      for (const region of REGIONS) {
        const forced = down.includes(region) ? FORCED.DOWN : FORCED.NONE;
        for (const target of targets(before, name, region)) before.set(target, { forced });
        for (const target of targets(after, name, region)) after.set(target, { forced });
      }
      for (const client of [dice.pick(CLIENTS), dice.pick(CLIENTS), dice.pick(CLIENTS)]) {
        for (const type of [1, 28]) {
          const [one, other] = [
            seen(before, `${name}.example.com`, type, client),
            seen(after, `${name}.example.com`, type, client),
          ];
          expect(other, `${name} ${type} for ${client}, down: ${down.join()}\n${yaml}\n${text}`).toEqual(one);
        }
      }
    }
  }
});

describe('records', () => {
  const records = [
    '  "@": { MX: [10 mail, 20 mail.example.net.], TXT: ["v=spf1 -all", "k=1; p=abc", "say \\\\\\"hi\\\\\\""], CAA: 0 issue "ca.example.net" }',
    '  ns1: { A: 192.0.2.53, AAAA: "2001:db8::53" }',
    '  _sip._tcp: { ttl: 1h, SRV: [10 60 5060 sip.example.com.] }',
    '  "*.dev": { CNAME: www }',
    '  no: { A: 192.0.2.1 }',
    '  sub: { NS: [ns.sub], DS: 12345 13 2 e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766 }',
    '  ns.sub: { A: 192.0.2.60 }',
    '  key: { SSHFP: 4 2 e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766 }',
    '  _443._tcp: { TLSA: 3 1 1 e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766 }',
    '  enum: { NAPTR: 100 10 "U" "E2U+sip" "!^.*$!sip:a@example.com!" . }',
    '  site: { HTTPS: "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1" }',
    '  place: { LOC: 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m }',
    '  www: { A: [192.0.2.7, 192.0.2.8] }',
    '  tree: { DNAME: other.example.net. }',
  ];
  const yaml = `${HEAD}records:\n${records.join('\n')}\n`;

  test('every type that octoDNS has is unchanged', () => {
    const { text, notes } = exportOf(yaml);
    expect(notes).toEqual(['@: the SOA: octoDNS leaves it to its providers']);
    const [before, after] = [
      answering({ ...GEOGRAPHY, 'zones/z.yaml': yaml }),
      answering({ ...GEOGRAPHY, 'zones/z.yaml': importedAgain(text) }),
    ];
    const asked = [
      '',
      '_sip._tcp.',
      'x.dev.',
      'no.',
      'sub.',
      'key.',
      '_443._tcp.',
      'enum.',
      'site.',
      'place.',
      'www.',
      'tree.',
    ];
    for (const name of asked) {
      for (const type of [1, 2, 5, 15, 16, 28, 29, 33, 35, 39, 43, 44, 52, 65, 257]) {
        const answers = [before, after].map(({ ask }) => {
          const { answer, authority } = ask(`${name}example.com`, type);
          return [...answer, ...authority]
            .filter((each) => each.type !== 6)
            .map((each) => `${each.type} ${each.ttl} ${each.data}`)
            .toSorted();
        });
        expect(answers[1], `${name} ${type}`).toEqual(answers[0]);
      }
    }
  });

  test('texts of YAML 1.1 are quoted', () => {
    const { text } = exportOf(yaml);
    expect(text).toMatch(/^---\n# example\.com\. exported by Pharos 1\.2\.3\n# @: the SOA/);
    expect(text).toMatch(/^"no":$/m);
  });

  test('what octoDNS cannot have is noted, and the rest is written', () => {
    const { notes, text } = exportOf(
      `${HEAD}records: { ns1: { A: 192.0.2.53 }, odd: { TXT: '"a" "b"', TYPE65400: \\# 1 00 } }\n`,
    );
    expect(notes).toContain('odd: TXT: a value that octoDNS cannot have');
    expect(notes).toContain('odd: TYPE65400: a value that octoDNS cannot have');
    expect(text).not.toContain('odd:\n');
    expect(text).toContain('# odd: TXT: a value');
  });
});

test('names of digits are in their order, also beside others', () => {
  const { text } = exportOf(
    `${HEAD}records:\n  "10": { A: 192.0.2.1 }\n  "9": { A: 192.0.2.1 }\n  "@": { A: 192.0.2.1 }\n  _b: { A: 192.0.2.1 }\n`,
  );
  expect(text.match(/^"?[\w]*"?:$/gm)).toEqual(
    ['"":', '"9":', '"10":', '_b:', 'ns1:'].filter((key) => text.includes(`\n${key}`)),
  );
});

test('the name of a URI record that octoDNS would refuse is lenient', () => {
  expect(exportOf(`${HEAD}records: { uri: { URI: 10 1 "https://example.com/" } }\n`).text).toContain('lenient: true');
});

test('two rules with one region have a pool each', () => {
  const { text } = exportOf(
    `${HEAD}regions: { seoul: {}, us: {} }\nservices:\n  www:\n    vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: us, A: 192.0.2.2 } }\n    steer: [{ geo: { KR: seoul, asia: seoul, US-CA: us, africa: us, default: us } }]\n`,
  );
  const { www } = parse(text) as {
    readonly www: { readonly dynamic: { readonly rules: readonly { readonly pool: string }[] } };
  };
  const placed = www.dynamic.rules.slice(0, -1).map(({ pool }) => pool);
  expect(new Set(placed).size).toBe(placed.length);
});

describe('services', () => {
  const service = (body: string) =>
    exportOf(
      `${HEAD}records: { ns1: { A: 192.0.2.53 } }\nregions: { seoul: { at: KR, min_healthy: 50% }, dublin: { at: IE } }\nchecks: { web: { type: https, path: /health, host: www.example.com }, line: { type: tcp, port: 25 }, run: { type: exec, command: [probe] } }\nservices:\n  www:\n${body}`,
    );
  const vips = '    vips: { a: { region: seoul, A: 192.0.2.1, weight: 4 }, b: { region: dublin, A: 192.0.2.2 } }\n';

  test('pools, rules, fallbacks and the health check', () => {
    const { text } = service(
      `    check: web\n${vips}    steer: [{ geo: { KR: seoul, 10.0.0.0/8: dublin, default: [dublin, seoul] } }, weighted]\n`,
    );
    const content = parse(text) as Record<string, unknown>;
    expect(content['www']).toEqual({
      dynamic: {
        pools: {
          dublin: { fallback: 'seoul', values: [{ value: '192.0.2.2', weight: 1 }] },
          seoul: { values: [{ value: '192.0.2.1', weight: 1 }] },
          'seoul-2': { fallback: 'dublin-2', values: [{ value: '192.0.2.1', weight: 1 }] },
          'dublin-2': { values: [{ value: '192.0.2.2', weight: 1 }] },
        },
        rules: [{ pool: 'dublin', subnets: ['10.0.0.0/8'] }, { geos: ['AS-KR'], pool: 'seoul-2' }, { pool: 'dublin' }],
      },
      octodns: { healthcheck: { host: 'www.example.com', path: '/health', port: 443, protocol: 'HTTPS' } },
      ttl: 300,
      type: 'A',
      values: ['192.0.2.2'],
    });
  });

  test.each<[title: string, body: string, notes: readonly string[]]>([
    [
      'nearest',
      `${vips}    steer: [nearest, weighted]\n`,
      ['nearest has no equivalent: all clients get one of all VIPs by weight; write rules with geos'],
    ],
    ['sticky', `${vips}    steer: [sticky]\n`, ['sticky: octoDNS chooses by weight each time']],
    [
      'keys that octoDNS does not have',
      `${vips}    steer: [{ geo: { AS64500: seoul, DE-BE: dublin, KR: none, default: dublin } }]\n`,
      [
        'the key AS64500: octoDNS has no such place',
        'the key DE-BE: octoDNS has no such place',
        'KR: none: octoDNS has an answer for every client',
      ],
    ],
    [
      'options',
      `    ttl: { min: 5, max: 60 }\n    partial: serve_all\n    ramp: 5m\n    when_all_down: none\n    check: run\n${vips}    steer: [{ failover: [seoul, dublin] }, all]\n`,
      [
        'a TTL of 5 to 60 s: the smaller is written',
        'when_all_down: none: octoDNS has values for this case',
        'partial: serve_all',
        'ramp',
        'all: octoDNS gives one value at a time',
        'the check run of the type exec: octoDNS has http, https and tcp',
      ],
    ],
    ['min_healthy', `${vips}    steer: [{ failover: [seoul, dublin] }]\n`, ['min_healthy of the region seoul']],
  ])('noted: %s', (_title, body, notes) => {
    const found = service(body)
      .notes.filter((note) => note.startsWith('www: '))
      .map((note) => note.slice(5));
    expect(found).toEqual(expect.arrayContaining([...notes]));
  });

  test('addresses that are all answered, without a check, are a plain record', () => {
    const { text } = service('    vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } }\n    steer: [all]\n');
    expect(parse(text)).toMatchObject({ www: { type: 'A', values: ['192.0.2.1', '192.0.2.2'] } });
  });
});
