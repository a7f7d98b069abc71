/**
 * `pharos import powerdns`: LUA records as services, and what has no equivalent.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LuaError, parseLua } from '../../../../cli/import/lua-syntax.ts';
import { createDice, printedSeed } from '../../../support/random.ts';
import { expectLines, geographyOf, importValid, serverOf } from './run-import.ts';

const SAMPLE = readFileSync(new URL('samples/powerdns.db', import.meta.url), 'utf8');
const { out: yaml, notes } = importValid('powerdns', { db: SAMPLE }, 'db');
const GEOGRAPHY = geographyOf({
  '192.0.2.0/26': 'BE',
  '192.0.2.64/26': 'DE',
  '192.0.2.128/26': 'KR',
  '192.0.2.192/26': 'US-CA',
});
const [BELGIUM, GERMANY, KOREA, CALIFORNIA] = ['192.0.2.1', '192.0.2.65', '192.0.2.129', '192.0.2.193'];
const { addresses, set, ask, seen } = serverOf(yaml, GEOGRAPHY);

const ONE_TWO = ['203.0.113.1', '203.0.113.2'];

describe('functions', () => {
  test('ifportup: a tcp check, and one of the available addresses; A and AAAA are one VIP', () => {
    expectLines(yaml, [
      '  tcp: { type: tcp, port: 443, interval: 5s, timeout: 2s, rise: 1, fall: 1 }',
      '      vip-1: { A: 203.0.113.1, AAAA: 2001:db8::1 }',
    ]);
    expect(seen('port')).toEqual(ONE_TWO);
    set('port.example.com/vip-1', { probed: 2 });
    expect(seen('port')).toEqual(['203.0.113.2']);
  });

  test('options: selector, interval, timeout, minimumFailures; source is noted', () => {
    expect(yaml).toContain('{ type: tcp, port: 25, interval: 10s, timeout: 3s, rise: 1, fall: 2 }');
    expect(addresses('every.example.com')).toHaveLength(2);
    expect(notes).toContain('changed every: the option source: checks have no source address of their own');
  });

  test('ifurlup: Host, port, path, text and agent; groups are a failover', () => {
    const flat = yaml.replace(/\n\s*/g, ' ');
    expect(flat).toContain(
      'type: https path: /health?x=1 host: www.example.com port: 8443 status: 200 insecure: true body: ready headers: { User-Agent: probe/2 }',
    );
    expect(yaml).toContain('    steer: [ { failover: [ group-1, group-2 ] }, weighted ]');
    expect(seen('url')).toEqual(ONE_TWO);
    for (const vip of ['group-1-1', 'group-1-2']) set(`url.example.com/${vip}`, { probed: 2 });
    expect(seen('url')).toEqual(['198.51.100.1']);
  });

  test('include and variables', () => {
    expect(seen('usa')).toEqual(['198.51.100.1']);
    expect(yaml).toMatch(/body: OK\n\s+headers: \{ User-Agent: probe\/1 \}/);
    expect(yaml).not.toContain('config');
  });

  test('ifurlextup: each address has a check elsewhere', () => {
    expectLines(yaml, [
      '      vip-1: { A: 203.0.113.1, probe: mon.example.net:443, check: https-5 }',
      '      vip-2: { A: 203.0.113.2, probe: 192.0.2.200:8080, check: http-6 }',
    ]);
  });

  test.each<[string, string, readonly string[]]>([
    ['pickrandom', 'rand', ONE_TWO],
    ['pickrandomsample', 'sample', [...ONE_TWO, '203.0.113.3']],
    ['pickwrandom', 'wrand', ONE_TWO],
  ])('%s', (_title, name, expected) => {
    expect(seen(name)).toEqual(expected);
  });

  test('pickrandomsample gives two, pickwrandom has weights, hashed ones give a client the same', () => {
    expect(addresses('sample.example.com')).toHaveLength(2);
    expectLines(yaml, ['      vip-2: { A: 203.0.113.2, weight: 30 }', '      vip-2: { A: 203.0.113.2, weight: 100 }']);
    for (const name of ['hashed', 'whashed']) expect(seen(name)).toHaveLength(1);
    expect(notes).toContain(
      'changed hashed: pickhashed becomes sticky: a client may get another of the values than it had',
    );
  });

  test('pickclosest: regions with the countries of the addresses', () => {
    expectLines(yaml, ['  8.8.8.8: { at: US }', '  193.0.6.139: { at: NL }', '    steer: [ nearest ]']);
    expect(seen('near', BELGIUM)).toEqual(['193.0.6.139']);
    expect(seen('near', CALIFORNIA)).toEqual(['8.8.8.8']);
    expect(notes).toContain(
      'changed near: the region 8.8.8.8 has the position of US, the country of 8.8.8.8 in the bundled database: check it',
    );
  });
});

describe('conditions', () => {
  test('a continent, else; all values of a table', () => {
    expect(addresses('both.example.com', GERMANY).toSorted()).toEqual(ONE_TWO);
    expect(addresses('both.example.com', KOREA)).toEqual(['198.51.100.1']);
  });

  test('names without a final dot are absolute', () => {
    expect(ask('www.example.com', 1, { from: KOREA }).answer[0]).toMatchObject({ type: 5, ttl: 600 });
    expect(yaml).toContain('CNAME: usa.example.com.');
  });

  test('countries, networks, AS numbers, subdivisions, a place without an answer', () => {
    expect(seen('mixed', BELGIUM)).toEqual(ONE_TWO);
    expect(seen('mixed', GERMANY)).toEqual(['198.51.100.1']);
    expect(seen('mixed', CALIFORNIA)).toEqual(['203.0.113.4']);
    expect(seen('mixed', KOREA)).toEqual([]);
    expect(yaml).toContain('KR: none');
    expect(notes.filter((note) => note.startsWith('changed mixed: '))).toEqual([
      'changed mixed: in PowerDNS the condition for BE is before the one for 10.0.0.0/8; here 10.0.0.0/8 is, since it is more specific',
      'changed mixed: in PowerDNS the condition for BE is before the one for AS64500; here AS64500 is, since it is more specific',
    ]);
  });

  test('branches that choose in different ways are services of their own', () => {
    expectLines(yaml, ['  kr.unlike:', '  default.unlike: { A: [ 198.51.100.1, 198.51.100.2 ] }']);
    expect(seen('unlike', KOREA)).toEqual(ONE_TWO);
    expect(addresses('unlike.example.com', BELGIUM)).toHaveLength(2);
  });

  test('view: networks', () => {
    expect(yaml).toContain('{ geo: { 192.168.0.0/16: 192.168.0.0-16, default: default }, fence: true }');
  });

  const branch = (script: string) =>
    importValid(
      'powerdns',
      { db: `$ORIGIN example.com.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns.example.net.\nx 60 LUA A "${script}"\n` },
      'db',
    );

  test('not, nested conditions and ones that never apply', () => {
    const negated = branch(`;if not country('BE') then return '203.0.113.1' end return '203.0.113.2'`);
    expect(negated.out).toContain('{ geo: { BE: be, default: default }, fence: true }');
    expect(serverOf(negated.out, GEOGRAPHY).addresses('x.example.com', BELGIUM)).toEqual(['203.0.113.2']);
    const nested = branch(
      `;if continent('EU') then if country('BE') then return '203.0.113.1' else return '203.0.113.2' end elseif country('DE') then return '203.0.113.3' end return '203.0.113.4'`,
    );
    const server = serverOf(nested.out, GEOGRAPHY);
    expect([BELGIUM, GERMANY, KOREA].map((client) => server.addresses('x.example.com', client))).toEqual([
      ['203.0.113.1'],
      ['203.0.113.2'],
      ['203.0.113.4'],
    ]);
    expect(nested.notes).toEqual(['changed x: the condition for DE never applies: the one for europe is before it']);
  });
});

describe('other types', () => {
  const soa = '$ORIGIN example.com.\n$TTL 60\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns.example.net.\n';
  const lines = [
    `site LUA A ";if country('KR') then return {'203.0.113.1', '203.0.113.2'} else return '203.0.113.3' end"`,
    `site LUA TXT ";if country('KR') then return 'in Korea' else return {'one', 'two'} end"`,
    `turns LUA MX "pickwrandom({{9,'10 mx1.example.net.'},{1,'10 mx2.example.net.'}})"`,
    `turns A 203.0.113.9`,
    `seen LUA TXT "ifportup(443, {'203.0.113.1', '203.0.113.2'})"`,
    `unlike LUA A "pickrandom({'203.0.113.1','203.0.113.2'})"`,
    `unlike LUA TXT ";if country('KR') then return 'a' else return 'b' end"`,
    `_sip._udp LUA SRV ";if continent('AS') then return '0 0 5060 kr.example.com.' else return '0 0 5060 eu.example.com.' end"`,
  ];
  const result = importValid('powerdns', { db: `${soa}${lines.join('\n')}\n` }, 'db');
  const server = serverOf(result.out, GEOGRAPHY);

  test('by place, in one service with the addresses', () => {
    expect([KOREA, BELGIUM].map((client) => server.texts('site.example.com', 'TXT', client))).toEqual([
      ['"in Korea"'],
      ['"one"', '"two"'],
    ]);
    expect([KOREA, BELGIUM].map((client) => server.addresses('site.example.com', client).length)).toEqual([2, 1]);
    expect(server.texts('_sip._udp.example.com', 'SRV', KOREA)).toEqual(['0 0 5060 kr.example.com.']);
  });

  test('by weight, beside an address that is a record', () => {
    expectLines(result.out, ['      vip-mx-1: { MX: 10 mx1.example.net., weight: 9 }', '  turns: { A: 203.0.113.9 }']);
    expect(server.texts('turns.example.com', 'MX')).toHaveLength(1);
  });

  test('addresses as text, with their check', () => {
    expectLines(result.out, ['      vip-txt-1: { TXT: 203.0.113.1, probe: 203.0.113.1 }']);
    server.set('seen.example.com/vip-txt-1', { probed: 2 });
    expect(server.texts('seen.example.com', 'TXT')).toEqual(['"203.0.113.2"']);
  });

  test('with other steps than the addresses: a note', () => {
    expect(result.notes).toEqual([
      'dropped unlike: the LUA record of TXT: it differs from that of A, and a service has the same steps for both',
    ]);
  });
});

describe('records', () => {
  test('an answer that is always the same is a record', () => {
    expectLines(yaml, ['  hello: { TXT: say "hi" }', '  always: { A: 203.0.113.9 }']);
  });

  test('a static address beside a LUA record is that of every VIP', () => {
    expect(ask('beside.example.com', 28).answer).toHaveLength(1);
    expect(notes).toContain('changed beside: every VIP gets the AAAA that is not of a LUA record');
  });

  test('what has no equivalent is noted, each with its reason', () => {
    expect(notes.filter((note) => note.startsWith('dropped'))).toEqual([
      `dropped fixed: LUA TXT "return 'not a script'": return is not read`,
      `dropped *.rev: LUA PTR "createReverse('%5%.static.example.com')": createReverse has no equivalent`,
      'dropped place: LUA LOC "latlonloc()": latlonloc has no equivalent',
      'dropped text: LUA TXT "latlon()": latlon has no equivalent',
      'dropped magic: LUA A "closestMagic()": closestMagic has no equivalent',
      `dropped loop: LUA A ";for i=1,2 do end return '203.0.113.1'": for is not read`,
    ]);
  });

  test('a transfer has LUA records as data of the type 65402', () => {
    const script = "pickrandom({'203.0.113.1','203.0.113.2'})";
    const data = Buffer.concat([Buffer.of(0, 1, script.length), Buffer.from(script)]).toString('hex');
    const { out } = importValid(
      'powerdns',
      {
        db: `example.com. 60 IN SOA ns.example.net. h. 1 2 3 4 5\nexample.com. 60 IN NS ns.example.net.\nr.example.com. 30 IN TYPE65402 \\# ${data.length / 2} ${data}\n`,
      },
      'db',
    );
    expectLines(out, ['      vip-1: { A: 203.0.113.1 }', '    ttl: 30']);
  });
});

test('random scripts are read or refused, never more', () => {
  const dice = createDice(printedSeed('import powerdns'));
  const words = [
    'if',
    'then',
    'else',
    'elseif',
    'end',
    'return',
    'not',
    'and',
    '(',
    ')',
    '{',
    '}',
    '[',
    ']',
    ',',
    '=',
    '==',
    ';',
    "'a'",
    '7',
    'x',
    'country',
    'all',
    '"',
  ];
  for (let round = 0; round < 3000; round++) {
    const script = Array.from({ length: dice.below(24) }, () => dice.pick(words)).join(' ');
    try {
      parseLua(dice.chance(0.5) ? `;${script}` : script);
    } catch (error) {
      if (!(error instanceof LuaError)) throw new Error(`${script}: ${String(error)}`, { cause: error });
    }
  }
  expect(() => parseLua(`;${'if x then '.repeat(5000)}`)).toThrow(LuaError);
  expect(() => parseLua('{'.repeat(50_000))).toThrow(LuaError);
  expect(() => parseLua('not '.repeat(50_000))).toThrow(LuaError);
});
