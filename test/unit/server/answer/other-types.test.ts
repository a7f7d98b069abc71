/**
 * Records of other types in VIPs, such as TXT and MX (docs/steering.md#other-types). Random services are compared with
 * the slow model in test/unit/steering, and signed answers with a slow validator; here are the rules, one by one.
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../../health/health-table.ts';
import { parseAddress } from '../../../../wire/address.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { TYPE, TYPE_NUMBERS, typeNumber } from '../../../../wire/types.ts';
import { subnetOption, T, type DecodedMessage } from '../../../support/message.ts';
import { answering, mistakesOf, NO_GEOGRAPHY, type Answering, type AskOptions } from '../../../support/pharos.ts';

const files = (services: string, records = ''): Record<string, string | Uint8Array> => ({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
regions: { seoul: { at: KR }, virginia: { at: US } }
records:
  ns1: { A: 192.0.2.53 }
  mail: { A: 192.0.2.25 }
${records}services:
${services}`,
});

const WWW = `  www:
    ttl: 20
    vips:
      kr: { region: seoul, A: 203.0.113.1, TXT: kr, MX: [10 mail.kr, 20 mail], SRV: 0 0 443 kr.example.net., TYPE65400: '\\# 2 beef' }
      us: { region: virginia, A: 203.0.113.2, TXT: [us, us again], MX: 20 mail, CAA: 0 issue "ca.example.net" }
    steer: [geo: { 198.51.100.0/24: seoul, default: [virginia, seoul] }]
`;

function textsOf({ answer }: DecodedMessage): string[] {
  return answer.map(({ type, data }) => formatRdata(type, Buffer.from(data, 'hex')));
}

function from(subnet: string, bits = 24): AskOptions {
  return { edns: { options: [subnetOption(parseAddress(subnet) ?? new Uint8Array(4), bits)] } };
}

const SEOUL = from('198.51.100.0');
const OTHER = from('203.0.113.0');

function ask(server: Answering, type: number, options: AskOptions = SEOUL, name = 'www.example.com'): string[] {
  const message = server.ask(name, type, options);
  expect(message.answer.every((each) => each.type === type)).toBe(true);
  return textsOf(message);
}

describe('a query for another type', () => {
  test.each([
    ['TXT', ['"kr"'], ['"us"', '"us again"']],
    ['MX', ['10 mail.kr.example.com.', '20 mail.example.com.'], ['20 mail.example.com.']],
    ['SRV', ['0 0 443 kr.example.net.'], ['0 0 443 kr.example.net.']],
    ['CAA', ['0 issue "ca.example.net"'], ['0 issue "ca.example.net"']],
    ['TYPE65400', ['\\# 2 BEEF'], ['\\# 2 BEEF']],
  ])('%s is steered like A among the VIPs that have it', (name, seoul, others) => {
    const server = answering(files(WWW));
    const type = typeNumber(name) ?? 0;
    // A key whose region lacks the type gives way to the broader one, as if the VIPs without it were not there.
    expect(ask(server, type, SEOUL).map((text) => text.toLowerCase())).toEqual(seoul.map((text) => text.toLowerCase()));
    expect(ask(server, type, OTHER).map((text) => text.toLowerCase())).toEqual(
      others.map((text) => text.toLowerCase()),
    );
    const message = server.ask('www.example.com', type, SEOUL);
    expect(new Set(message.answer.map(({ ttl }) => ttl))).toEqual(new Set([20]));
    expect(message.edns?.scope).toBe(server.generation.catalog.vips.filter(({ records }) => records?.some((each) => each.type === name)).length > 1 ? 24 : 0); // prettier-ignore
  });

  test('counts the VIPs that were served, once for all their records', () => {
    const server = answering(files(WWW));
    ask(server, T.TXT, OTHER);
    ask(server, T.MX, SEOUL);
    ask(server, T.MX, SEOUL);
    expect([...server.state.served]).toEqual([2, 1]);
  });

  test('never names a VIP that is down or drained', () => {
    const server = answering(files(WWW));
    server.set('www.example.com/kr', { probed: PROBED.DOWN });
    expect(ask(server, T.TXT)).toEqual(['"us"', '"us again"']);
    server.set('www.example.com/kr', { probed: PROBED.UP, forced: FORCED.DRAIN });
    expect(ask(server, T.TXT)).toEqual(['"us"', '"us again"']);
    expect(server.ask('www.example.com', T.SRV, SEOUL).answer).toEqual([]);
  });

  test('a type that no VIP has is static, or has no data', () => {
    const server = answering(files(WWW, '  www: { NAPTR: 1 1 "S" "" "" x, PTR: a }\n'));
    expect(ask(server, T.NAPTR)).toEqual(['1 1 "S" "" "" x.example.com.']);
    const none = server.ask('www.example.com', T.TLSA);
    expect([none.rcode, none.answer.length, none.authority[0]?.type]).toEqual([0, 0, T.SOA]);
  });

  test('ANY gets one RRset: an address, else one of the other types, else static records', () => {
    const bare = '  www: { when_all_down: none, vips: { a: { TXT: x }, b: { MX: 10 m } } }\n';
    const server = answering(files(bare, '  www: { LOC: 52 0 0 N 4 0 0 E 0m }\n'));
    const typesOf = (): number[] => server.ask('www.example.com', T.ANY).answer.map(({ type }) => type);
    expect(typesOf()).toEqual([T.MX]);
    server.set('www.example.com/b', { probed: PROBED.DOWN });
    expect(typesOf()).toEqual([T.TXT]);
    server.set('www.example.com/a', { probed: PROBED.DOWN });
    expect(typesOf()).toEqual([TYPE_NUMBERS.get('LOC')]);
    const usual = answering(files(WWW));
    expect(usual.ask('www.example.com', T.ANY).answer.map(({ type }) => type)).toEqual([T.A]);
  });
});

describe('an answer of several VIPs', () => {
  const SHARED = `  www:
    answers: ANSWERS
    vips:
      a: { TXT: [same, one], MX: 10 Mail }
      b: { TXT: [two, same], MX: [10 mail, 20 b] }
      c: { TXT: [same] }
    steer: [failover: [a, b, c], all]
    when_all_down: { TXT: [sorry, again] }
`;
  const all = SHARED.replace('[failover: [a, b, c], all]', '[all]');

  test('has each record once (RFC 2181 5)', () => {
    const server = answering(files(all.replace('ANSWERS', 'all')));
    expect(ask(server, T.TXT)).toEqual(['"same"', '"one"', '"two"']);
    expect(ask(server, T.MX)).toEqual(['10 mail.example.com.', '20 b.example.com.']);
    server.set('www.example.com/a', { probed: PROBED.DOWN });
    expect(ask(server, T.TXT)).toEqual(['"two"', '"same"']);
  });

  test('has the records of as many VIPs as answers says', () => {
    const server = answering(files(all.replace('ANSWERS', '2')));
    expect(ask(server, T.TXT)).toEqual(['"same"', '"one"', '"two"']);
    expect([...server.state.served]).toEqual([1, 1, 0]);
  });

  test('when all are down, is the static answer of the type', () => {
    const server = answering(files(all.replace('ANSWERS', 'all')));
    for (const vip of ['a', 'b', 'c']) server.set(`www.example.com/${vip}`, { probed: PROBED.DOWN });
    expect(ask(server, T.TXT)).toEqual(['"sorry"', '"again"']);
    expect(ask(server, T.MX)).toEqual([]);
    expect(server.ask('www.example.com', T.ANY).answer.map(({ type }) => type)).toEqual([T.TXT, T.TXT]);
  });

  test('that does not fit sets TC over UDP, and is whole over TCP', () => {
    const text = (letter: string): string => `"${letter.repeat(250)}"`;
    const vips = ['a', 'b', 'c', 'd', 'e', 'f'].map((vip) => `      ${vip}: { TXT: ${text(vip)} }`);
    const server = answering(files(`  www:\n    answers: all\n    vips:\n${vips.join('\n')}\n    steer: [all]\n`));
    const short = server.ask('www.example.com', T.TXT, { edns: { size: 4096 } });
    expect(short.tc).toBe(true);
    // An answer that was cut served nobody: the client asks again.
    expect([...server.state.served]).toEqual([0, 0, 0, 0, 0, 0]);
    const whole = server.ask('www.example.com', T.TXT, { overTcp: true });
    expect([whole.tc, whole.answer.length]).toEqual([false, 6]);
    expect([...server.state.served]).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

test('SVCB and HTTPS of VIPs are steered as they are written', () => {
  const server = answering(
    files('  www: { vips: { a: { HTTPS: 1 a.example.net. alpn=h3, A: 192.0.2.1 }, b: { SVCB: 1 . port=8443 } } }\n'),
  );
  expect(ask(server, T.HTTPS)).toEqual(['1 a.example.net. alpn="h3"']);
  expect(ask(server, TYPE.SVCB)).toEqual(['1 . port=8443']);
});

describe('check', () => {
  const mistakes = (services: string, records = ''): string => mistakesOf(files(services, records)).join('\n');
  const LINE = 9;

  test.each([
    ['vips: { a: { NS: ns } }', 'error PH246: NS records cannot be steered'],
    ['vips: { a: { A: 192.0.2.1, ds: 1 13 2 00 } }', 'error PH246: DS records cannot be steered'],
    ['vips: { a: { TYPE255: x } }', 'error PH110: TYPE255 is a type that zones cannot contain'],
    ['vips: { a: { TXT: x, txt: y } }', 'error PH109: txt is the same type as TXT'],
    ['vips: { a: { MX: mail } }', 'error PH106: MX needs'],
    ['vips: { a: { A: 192.0.2.1, TXTT: x } }', 'error PH010: TXTT is not a key of vip'],
    ['vips: { a: { TXT: [] } }', 'error PH114: TXT has no values'],
    ['vips: { a: { CNAME: x.example.net., TXT: x } }', 'error PH202: VIP a has a CNAME beside other records'],
    ['vips: { a: { CNAME: x.example.net. }, b: { TXT: x } }', 'error PH203: a is a CNAME and b is not'],
    [
      'check: { type: tcp, port: 1 }, vips: { a: { TXT: x } }',
      'error PH247: the check www.example.com has nothing to connect to: VIP a',
    ],
    [
      'check: { type: tcp }, vips: { a: { TXT: x, probe: ":80" } }',
      'error PH247: the check www.example.com has nothing to connect to: VIP a',
    ],
    [
      'vips: { a: { TXT: x } }, when_all_down: { MX: 10 mail }',
      'error PH216: when_all_down has MX records, and no VIP has',
    ],
    [
      'vips: { a: { TXT: x } }, when_all_down: { CNAME: x, TXT: y }',
      'error PH216: when_all_down has a CNAME beside other records',
    ],
    [
      'svcb: {}, vips: { a: { A: 192.0.2.1, HTTPS: 1 . } }',
      'error PH239: service www.example.com has svcb, and its VIP a',
    ],
  ])('%s: %s', (service, expected) => {
    const found = mistakes(`  www: { ${service} }\n`);
    expect(found).toContain(expected);
    expect(found).toContain(`example.com.yaml:${LINE} `);
    expect(found.split('\n')).toHaveLength(1);
  });

  test.each([
    ['MX: 10 mail.example.com', 'warning PH113: VIP a: MX: mail.example.com without a final dot is'],
    ['SRV: 0 0 1 x.example.net', 'warning PH113: VIP a: SRV: x.example.net without a final dot is'],
    ['MX: 10 nothere', 'warning PH353: VIP a: MX points at nothere.example.com, which has no records in this zone'],
    ['MX: [10 mail, 20 mail.example.net.]', ''],
    ['MX: 0 .', ''],
  ])('a name in a record that is probably wrong: %s', (record, expected) => {
    const found = mistakes(`  www: { vips: { a: { ${record} } } }\n`);
    if (expected === '') expect(found).toBe('');
    else expect(found).toContain(`example.com.yaml:${LINE} ${expected}`);
  });

  test('a static record of the same type is an error with both places', () => {
    const found = mistakes('  www:\n    vips: { a: { TXT: x } }\n', '  www: { MX: 10 mail, TXT: y }\n');
    expect(found).toContain(`yaml:${LINE + 2} error PH249: VIP a has TXT records, and there are static TXT records of www.example.com`); // prettier-ignore
    expect(found).toContain(`yaml:${LINE - 1})`);
  });

  test('more types than steering has bits for', () => {
    const types = Array.from({ length: 16 }, (_, at) => `TYPE${65_300 + at}: '\\# 0'`).join(', ');
    expect(mistakes(`  www: { vips: { a: { ${types} } } }\n`)).toContain('error PH248: the VIPs have 16 types');
    expect(mistakes(`  www: { vips: { a: { ${types.replace(/^.*?, /, '')} } } }\n`)).toBe('');
  });

  test('records of an answer that no message can hold', () => {
    const vips = ['a', 'b'].map((vip) => `${vip}: { TXT: ${vip.repeat(40_000)} }`).join(', ');
    expect(mistakes(`  www: { vips: { ${vips} } }\n`)).toBe('');
    expect(mistakes(`  www: { vips: { ${vips} }, answers: 2, steer: [weighted] }\n`)).toContain('error PH380: the TXT records of service www.example.com'); // prettier-ignore
  });
});

test('a service without addresses leaves those of its name to static records', () => {
  const server = answering(files('  www: { vips: { a: { TXT: x } } }\n', '  www: { A: [192.0.2.7, 192.0.2.8] }\n'));
  expect(server.ask('www.example.com', T.A).answer).toHaveLength(2);
  expect(ask(server, T.TXT)).toEqual(['"x"']);
  expect(mistakesOf(files('  www: { vips: { a: { TXT: x, A: 192.0.2.1 } } }\n', '  www: { AAAA: "2001:db8::1" }\n')).join()).toContain('PH347'); // prettier-ignore
  expect(mistakesOf(files('  www: { vips: { a: { TXT: x } }, when_all_down: { A: 192.0.2.9 } }\n')).join()).toContain('PH216'); // prettier-ignore
});

test('a wildcard service answers with its records for every name', () => {
  const server = answering(files('  "*.w": { vips: { a: { TXT: x, MX: 10 mail } } }\n'));
  expect(ask(server, T.MX, {}, 'q.w.example.com')).toEqual(['10 mail.example.com.']);
});
