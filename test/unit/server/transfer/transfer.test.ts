/**
 * Zone transfers in-process: what a peer gets, message by message, compared with what `answer()` returns for the same
 * names.
 */
import { describe, expect, test } from 'vitest';
import { COUNTER } from '../../../../server/counters.ts';
import { parseName } from '../../../../wire/name.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { readTsig } from '../../../../wire/tsig-record.ts';
import { TSIG_ERROR, verifyTsig } from '../../../../wire/tsig.ts';
import { decodeMessage, encodeQuery, readName, T, wireName, type DecodedRecord } from '../../../support/message.ts';
import { ixfr, KEY, LISTING, PEER, servePeers as serve, sign, SIGNING, STRANGER } from '../../../support/peer.ts';
import { SAMPLES } from '../../wire/rdata-samples.ts';

const TSIG = 250;
/** MD, MF, MB, MG, MR and MINFO: the reader shows their names as they are, compressed. */
const COMPRESSED: ReadonlySet<number> = new Set([3, 4, 7, 8, 9, 14]);
function line({ name, type, ttl, data }: DecodedRecord): string {
  return `${name} ${ttl} ${type} ${data}`;
}

function recordsOf(messages: readonly Buffer[]): DecodedRecord[] {
  return messages.flatMap((message) => decodeMessage(message).answer);
}

const SMALL = {
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
soa: { serial: 100 }
records: { ns1: { A: 192.0.2.53 } }
`,
};

describe('a zone with every record type', () => {
  const records = Object.entries(SAMPLES)
    .filter(
      ([type]) => !['SOA', 'CNAME', 'DNAME', 'NS', 'NSEC', 'NSEC3', 'NSEC3PARAM', 'RRSIG', 'NXT', 'SIG'].includes(type),
    )
    .flatMap(([type, samples]) => samples.map((sample) => `t-${type.toLowerCase()} ${type} ${sample}`));
  const zone = `$TTL 300
@ SOA ns1 host.ns1 7 7200 1800 1209600 60
@ NS ns1
@ NS ns2.elsewhere.example.
@ NS ns3.elsewhere.example.
ns1 A 192.0.2.53
cname CNAME ns1
old DNAME new
a.ent.deep TXT deep
*.wild MX 10 ns1
esc\\.dot\\000 A 192.0.2.99
Upper.Case A 192.0.2.98
sub NS ns.sub
sub NS ns1
sub DS 12345 13 2 abababababababababababababababababababababababababababababababab
ns.sub A 192.0.2.60
ns.sub AAAA 2001:db8::60
other.sub TXT occluded
${records.join('\n')}
`;
  const files = {
    'zones/example.com.yaml': 'zone: example.com\ninclude: [example.com.zone]\n',
    'zones/example.com.zone': zone,
  };

  test('is transferred as it is served, RRset by RRset, SOA first and last', async () => {
    const { tcp } = serve(files);
    const all = recordsOf(await tcp(encodeQuery('example.com', T.AXFR), PEER));
    expect(all[0]?.type).toBe(T.SOA);
    expect(all.slice(1).filter(({ type }) => type === T.SOA)).toEqual([
      expect.objectContaining({ data: all[0]?.data, name: 'example.com.' }),
    ]);
    expect(all.at(-1)?.type).toBe(T.SOA);
    const body = all.slice(0, -1);
    const lines = zone.split('\n').filter((text) => text !== '' && !text.startsWith('$'));
    // Two samples of NSAP are equal.
    expect(body).toHaveLength(lines.length - 1);
    const byRrset = new Map<string, DecodedRecord[]>();
    for (const record of body) {
      const rrset = `${record.name} ${record.type}`;
      byRrset.set(rrset, [...(byRrset.get(rrset) ?? []), record]);
    }
    let compared = 0;
    for (const [rrset, [first]] of byRrset) {
      if (!first || first.name.includes('sub.') || COMPRESSED.has(first.type)) continue;
      const [response] = await tcp(encodeQuery(first.name, first.type, { edns: {} }), STRANGER);
      const answer = decodeMessage(response ?? Buffer.alloc(0)).answer.filter(({ type }) => type === first.type);
      expect(byRrset.get(rrset)?.map(line).sort()).toEqual(answer.map(line).sort());
      compared++;
    }
    expect(compared).toBeGreaterThan(60);
  });

  test('records below a cut are part of it (RFC 5936 3.5)', async () => {
    const { tcp } = serve(files);
    const all = recordsOf(await tcp(encodeQuery('example.com', T.AXFR), PEER));
    const below = all.filter(({ name }) => name.endsWith('sub.example.com.'));
    expect(below.map(({ name, type }) => `${name} ${type}`).sort()).toEqual([
      'ns.sub.example.com. 1',
      'ns.sub.example.com. 28',
      'other.sub.example.com. 16',
      'sub.example.com. 2',
      'sub.example.com. 2',
      'sub.example.com. 43',
    ]);
  });

  test('the glue is still in the referral', () => {
    const { udp } = serve(files);
    const { additional } = decodeMessage(udp(encodeQuery('x.sub.example.com', T.A), STRANGER));
    expect(additional.map(({ name, type }) => `${name} ${type}`).sort()).toEqual([
      'ns.sub.example.com. 1',
      'ns.sub.example.com. 28',
      'ns1.example.com. 1',
    ]);
  });
});

describe('zones beside each other', () => {
  const zone = (name: string, rest: string): string =>
    `zone: ${name}\nnameservers: [ns.example.]\nsoa: { serial: 1 }\nrecords:\n${rest}`;
  const files = {
    'zones/root.yaml': zone('"."', '  a.: { A: 192.0.2.1 }\n  b.test: { MX: [10 a., 20 mail.b.test.] }\n'),
    'zones/example.com.yaml': zone(
      'example.com',
      '  sub: { NS: [ns.sub] }\n  ns.sub: { A: 192.0.2.3 }\n  x: { A: 192.0.2.2 }\n',
    ),
    'zones/sub.example.com.yaml': zone('sub.example.com', '  ns: { A: 192.0.2.4 }\n'),
  };
  test.each([
    ['.', ['. 2', 'a. 1', 'b.test. 15', 'b.test. 15']],
    ['example.com', ['example.com. 2', 'ns.sub.example.com. 1', 'sub.example.com. 2', 'x.example.com. 1']],
    ['sub.example.com', ['ns.sub.example.com. 1', 'sub.example.com. 2']],
  ])('%s has only its own data', async (name, expected) => {
    const { tcp } = serve(files);
    const all = recordsOf(await tcp(encodeQuery(name, T.AXFR), PEER));
    const body = all.filter(({ type }) => type !== T.SOA);
    expect(body.map((record) => `${record.name} ${record.type}`).sort()).toEqual(expected);
    expect(all).toHaveLength(body.length + 2);
  });
});

describe('access to transfers', () => {
  const { tcp } = serve(SMALL);
  const axfr = encodeQuery('example.com', T.AXFR);
  const rcodeOf = async (query: Buffer, from: string): Promise<[rcode: number, records: number]> => {
    const [first] = await tcp(query, from);
    const { rcode, answer } = decodeMessage(first ?? Buffer.alloc(0));
    return [rcode, answer.length];
  };
  const [GIVEN, REFUSED, NOTAUTH, FORMERR] = [
    [0, 4],
    [5, 0],
    [9, 0],
    [1, 0],
  ];
  test.each([
    ['a peer', axfr, PEER, GIVEN],
    ['a peer over IPv6', axfr, '2001:db8::1', GIVEN],
    ['an unknown client', axfr, STRANGER, REFUSED],
    ['a peer that must sign, without a signature', axfr, SIGNING, REFUSED],
    ['a peer that signs', sign(axfr).message, SIGNING, GIVEN],
    ['a peer that signs without need', sign(axfr).message, PEER, GIVEN],
    ['an unknown client that signs', sign(axfr).message, STRANGER, REFUSED],
    [
      'a peer that signs with another secret, but must sign',
      sign(axfr, { ...KEY, secret: Buffer.of(1) }).message,
      SIGNING,
      NOTAUTH,
    ],
    ['a peer that signs with another secret', sign(axfr, { ...KEY, secret: Buffer.of(1) }).message, PEER, NOTAUTH],
    ['a peer, for no zone', encodeQuery('ns1.example.com', T.AXFR), PEER, NOTAUTH],
    ['a peer, for a zone elsewhere', encodeQuery('example.org', T.AXFR), PEER, NOTAUTH],
    ['an unknown client, for no zone', encodeQuery('example.org', T.AXFR), STRANGER, REFUSED],
    ['a peer, in class CH', encodeQuery('example.com', T.AXFR, { class: 3 }), PEER, REFUSED],
    ['an IXFR without SOA', encodeQuery('example.com', T.IXFR), PEER, FORMERR],
    ['an IXFR from an unknown client', ixfr('example.com', 1), STRANGER, REFUSED],
  ])('%s', async (_, query, from, expected) => {
    expect(await rcodeOf(query, from)).toEqual(expected);
  });

  test('header: QR, AA, RD as asked, the question in its case', async () => {
    const query = encodeQuery('eXample.com', T.AXFR, { id: 7, flags: 0x0130 });
    const [first = Buffer.alloc(0)] = await tcp(query, PEER);
    const { id, flags, question } = decodeMessage(first);
    expect([id, flags, question]).toEqual([7, 0x8500, query.subarray(12)]);
  });

  test('OPT for clients that send one', async () => {
    const [first = Buffer.alloc(0)] = await tcp(encodeQuery('example.com', T.AXFR, { edns: { dnssecOk: true } }), PEER);
    expect(decodeMessage(first).edns).toMatchObject({ size: 1232, version: 0, dnssecOk: true });
  });
});

describe('IXFR (RFC 1995), with the serial 100', () => {
  const { tcp, udp } = serve(SMALL);
  test.each([
    [99, 4],
    [100, 1],
    [101, 1],
    [100 + 2 ** 31 - 1, 1],
    [100 + 2 ** 31 + 1, 4],
    [4_294_967_295, 4],
  ])('to a client that has %i: %i records', async (serial, count) => {
    expect(recordsOf(await tcp(ixfr('example.com', serial), PEER))).toHaveLength(count);
  });

  test('over UDP a peer gets the SOA, and repeats over TCP', () => {
    const { answer, tc, rcode } = decodeMessage(udp(ixfr('example.com', 1), PEER));
    expect([rcode, tc, answer.map(({ type }) => type)]).toEqual([0, false, [T.SOA]]);
  });

  test.each([
    ['IXFR from an unknown client', ixfr('example.com', 1), STRANGER],
    ['AXFR from a peer', encodeQuery('example.com', T.AXFR), PEER],
  ])('over UDP, %s is refused', (_, query, from) => {
    expect(decodeMessage(udp(query, from)).rcode).toBe(5);
  });

  test('signed over UDP, the response is signed', () => {
    const { message, mac } = sign(ixfr('example.com', 1));
    const response = udp(message, SIGNING);
    const tsig = readTsig(response);
    if (typeof tsig === 'string') throw new Error(tsig);
    expect(decodeMessage(response).answer).toHaveLength(1);
    expect(verifyTsig(response, tsig, [KEY], Date.now() / 1000, mac).kind).toBe('valid');
  });
});

describe('signed queries over UDP', () => {
  const { udp } = serve({
    'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  big: { TXT: [${Array.from({ length: 3 }, (_, i) => String(i).repeat(145)).join(', ')}] }
`,
  });
  const ask = (name: string, type: number, key = KEY, secondsAgo = 0, options = {}) => {
    const { message, mac } = sign(encodeQuery(name, type, options), key, Date.now() / 1000 - secondsAgo);
    const response = udp(message, STRANGER);
    const tsig = readTsig(response);
    const verdict =
      typeof tsig === 'string' ? undefined : verifyTsig(response, tsig, [KEY], Date.now() / 1000 - secondsAgo, mac);
    return { response, decoded: decodeMessage(response), tsig: typeof tsig === 'string' ? undefined : tsig, verdict };
  };

  test('are answered, and signed', () => {
    const { decoded, verdict } = ask('ns1.example.com', T.A, KEY, 0, { edns: {} });
    expect([decoded.rcode, decoded.answer.length, decoded.edns?.size]).toEqual([0, 1, 1232]);
    expect(verdict?.kind).toBe('valid');
  });

  test('a response without room for its signature is reduced to the question (RFC 8945 5.3)', () => {
    expect(decodeMessage(udp(encodeQuery('big.example.com', T.TXT), STRANGER)).tc).toBe(false);
    const { decoded, verdict, response } = ask('big.example.com', T.TXT);
    expect([decoded.tc, decoded.answer.length, decoded.additional.map(({ type }) => type)]).toEqual([true, 0, [TSIG]]);
    expect(response.length).toBeLessThanOrEqual(512);
    expect(verdict?.kind).toBe('valid');
    expect(ask('big.example.com', T.TXT, KEY, 0, { edns: {} }).decoded.answer).toHaveLength(3);
  });

  test.each([
    ['an unknown key', { ...KEY, name: parseName('nobody.') }, 0, TSIG_ERROR.BADKEY, 0],
    ['another secret', { ...KEY, secret: Buffer.of(1) }, 0, TSIG_ERROR.BADSIG, 0],
    ['an old signature', KEY, 1000, TSIG_ERROR.BADTIME, 32],
  ])('%s is NOTAUTH', (_, key, secondsAgo, error, macOctets) => {
    const { decoded, tsig } = ask('ns1.example.com', T.A, key, secondsAgo);
    expect([decoded.rcode, decoded.answer.length]).toEqual([9, 0]);
    expect([tsig?.error, tsig?.mac.length]).toEqual([error, macOctets]);
  });

  test('a signature that is not last is FORMERR', () => {
    const { message } = sign(encodeQuery('ns1.example.com', T.A));
    const twice = Buffer.concat([message, message.subarray(encodeQuery('ns1.example.com', T.A).length)]);
    twice.writeUInt16BE(2, 10);
    expect(decodeMessage(udp(twice, STRANGER)).rcode).toBe(1);
  });

  test('a signed response never gets a response', () => {
    const { message } = sign(encodeQuery('ns1.example.com', T.A, { flags: 0x8000 }));
    expect(udp(message, STRANGER)).toHaveLength(0);
  });

  test('no cut or flipped octet causes an exception', () => {
    const { message } = sign(ixfr('example.com', 1, { edns: {} }));
    for (let at = 0; at < message.length; at++) {
      udp(Buffer.from(message.subarray(0, at)), SIGNING);
      for (const bit of [1, 0x40, 0x80, 0xff]) {
        const flipped = Buffer.from(message);
        flipped[at] = (flipped[at] ?? 0) ^ bit;
        udp(flipped, SIGNING);
      }
    }
  });
});

describe('steered names transfer as their default answer', () => {
  const VIPS = `
      seoul-a: { region: seoul, A: 203.0.113.10, AAAA: "2001:db8:1::10", weight: 4 }
      seoul-b: { region: seoul, A: 203.0.113.11 }
      seoul-c: { region: seoul, A: 203.0.113.12, weight: 0 }
      dublin-a: { region: dublin, A: 192.0.2.10 }
`;
  const transferred = async (service: string, vips = VIPS): Promise<string[]> => {
    const { tcp } = serve({
      'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
regions: { seoul: { at: KR }, dublin: { at: IE } }
records: { ns1: { A: 192.0.2.53 } }
services:
  www:
    ttl: { min: 5, max: 60 }
    vips: ${vips}
${service}
`,
    });
    const all = recordsOf(await tcp(encodeQuery('example.com', T.AXFR), PEER));
    return all
      .filter(({ name }) => name === 'www.example.com.')
      .map(({ type, ttl, data }) => `${ttl} ${type === T.CNAME ? readableName(data) : readableAddress(data)}`);
  };
  const readableAddress = (hex: string): string =>
    hex.length === 8 ? [...Buffer.from(hex, 'hex')].join('.') : (hex.match(/.{4}/g) ?? []).join(':');
  const readableName = (hex: string): string => readName(Buffer.from(hex, 'hex'), 0).name;
  const GEO = (map: string, rest = ''): string => `    steer: [{ geo: ${map}${rest} }, weighted]`;
  test.each([
    [
      'the regions of default, without standbys',
      GEO('{ KR: dublin, default: seoul }'),
      ['5 203.0.113.10', '5 203.0.113.11', '5 2001:0db8:0001:0000:0000:0000:0000:0010'],
    ],
    [
      'the first of its regions',
      GEO('{ KR: seoul, default: [dublin, seoul] }'),
      ['5 192.0.2.10', '5 2001:0db8:0001:0000:0000:0000:0000:0010'],
    ],
    [
      'failover: the first region',
      '    steer: [failover: [dublin, seoul]]',
      ['5 192.0.2.10', '5 2001:0db8:0001:0000:0000:0000:0000:0010'],
    ],
    ['failover: a VIP, which has no AAAA', '    steer: [failover: [seoul-b, dublin]]', ['5 203.0.113.11']],
    [
      'sticky: all, whatever the client',
      '    steer: [sticky]',
      ['5 203.0.113.10', '5 203.0.113.11', '5 192.0.2.10', '5 2001:0db8:0001:0000:0000:0000:0000:0010'],
    ],
    [
      'a fence without default: none, as `none` says',
      `${GEO('{ KR: seoul }', ', fence: true')}\n    when_all_down: none`,
      [],
    ],
    [
      'a fence without default: the static answer',
      `${GEO('{ KR: seoul }', ', fence: true')}\n    when_all_down: { A: 192.0.2.99 }`,
      ['5 192.0.2.99'],
    ],
  ])('%s', async (_, service, expected) => {
    expect(await transferred(service)).toEqual(expected);
  });

  test('of CNAMEs the one with the largest weight', async () => {
    const vips = `
      a: { CNAME: a.example.net. }
      b: { CNAME: b.example.net., weight: 9 }
      c: { CNAME: c.example.net., weight: 9 }
`;
    expect(await transferred('    steer: [weighted]', vips)).toEqual(['5 b.example.net.']);
  });

  test.each([
    ['those of the heaviest VIP', '', ['"b"', '"same"']],
    ['those of as many VIPs as answers says, each record once', '    answers: 2', ['"a"', '"same"', '"b"']],
    ['the static answer behind a fence', `${GEO('{ KR: seoul }', ', fence: true')}\n    when_all_down: { TXT: sorry }`, ['"sorry"']], // prettier-ignore
  ])('records of other types: %s', async (_, more, expected) => {
    const { tcp } = serve({
      'zones/example.com.yaml': `
zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: { at: KR } }
services:
  www:
    vips:
      a: { TXT: [a, same] }
      b: { TXT: [b, same], weight: 5 }
      c: { TXT: c, weight: 0 }
${more === '' || !more.includes('steer') ? '    steer: [weighted]\n' : ''}${more}
`,
    });
    const all = recordsOf(await tcp(encodeQuery('example.com', T.AXFR), PEER));
    const texts = all.flatMap(({ type, data }) => (type === T.TXT ? formatRdata(type, Buffer.from(data, 'hex')) : []));
    expect(texts.sort()).toEqual([...expected].sort());
  });

  test('always the same, whatever the state of a VIP', async () => {
    const first = await transferred('    steer: [weighted]');
    for (let time = 0; time < 5; time++) expect(await transferred('    steer: [weighted]')).toEqual(first);
  });

  test('records of other types at the name stay', async () => {
    const { tcp } = serve({
      'zones/example.com.yaml':
        'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 }, www: { TXT: static } }\nservices: { www: { vips: { a: { A: 192.0.2.1 } } } }\n',
    });
    const all = recordsOf(await tcp(encodeQuery('example.com', T.AXFR), PEER));
    const types = all.filter(({ name }) => name === 'www.example.com.').map(({ type }) => type);
    expect(types).toEqual([T.TXT, T.A]);
    const listed = recordsOf(await tcp(encodeQuery('example.com', T.AXFR), LISTING));
    const text = ({ name, type, data }: (typeof all)[number]): string => `${name} ${type} ${data}`;
    const rest = all.filter(({ name, type }) => name !== 'www.example.com.' || type !== T.A);
    expect(listed.map(text)).toEqual(rest.map(text));
  });
});

describe('a zone of many messages', () => {
  // Names in the data of one RRset that point to each other, far beyond the reach of a pointer.
  const rows = Array.from(
    { length: 4000 },
    (_, i) =>
      `host-${i} A 10.0.${i >> 8}.${i & 255}\nmx-${i} MX 10 a.mail-${i}.example.net.\nmx-${i} MX 20 b.mail-${i}.example.net.`,
  );
  const files = {
    'zones/example.com.yaml':
      'zone: example.com\nnameservers: [ns1]\ninclude: [bulk.zone]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
    'zones/bulk.zone': `$TTL 60\n${rows.join('\n')}\n`,
  };

  test('has every record once, in messages as full as possible', async () => {
    const { tcp } = serve(files);
    const messages = await tcp(encodeQuery('example.com', T.AXFR), PEER);
    expect(messages.length).toBeGreaterThan(3);
    for (const message of messages.slice(0, -1)) expect(message.length).toBeGreaterThan(65_000);
    const all = recordsOf(messages);
    expect(all).toHaveLength(3 * 4000 + 1 + 1 + 2);
    const body = new Set(all.map(line));
    expect(body.size).toBe(all.length - 1);
    for (const i of [0, 1234, 3999]) {
      for (const [preference, host] of ['a', 'b'].entries()) {
        const data = `${preference === 0 ? '000a' : '0014'}${wireName(`${host}.mail-${i}.example.net`).toString('hex')}`;
        expect(body).toContain(`mx-${i}.example.com. 60 15 ${data}`);
      }
    }
  });

  test('no more messages are made for a client that has gone', async () => {
    const { tcp, counters } = serve(files);
    expect(await tcp(encodeQuery('example.com', T.AXFR), PEER, 2)).toHaveLength(2);
    expect([counters[COUNTER.TRANSFERS_DONE], counters[COUNTER.TRANSFERS_CUT]]).toEqual([0, 1]);
    await tcp(encodeQuery('example.com', T.AXFR), PEER);
    expect([counters[COUNTER.TRANSFERS_DONE], counters[COUNTER.TRANSFERS_CUT]]).toEqual([1, 1]);
  });

  test('each message is signed, the second over the first (RFC 8945 5.3.1)', async () => {
    const { tcp } = serve(files);
    const { message } = sign(encodeQuery('example.com', T.AXFR));
    const messages = await tcp(message, SIGNING);
    const tsigs = messages.map((each) => readTsig(each));
    expect(tsigs.every((tsig) => typeof tsig !== 'string' && tsig.mac.length === 32)).toBe(true);
    for (const each of messages) expect(each.length).toBeLessThanOrEqual(65_535);
  });
});

describe('the catalog zone (RFC 9432)', () => {
  const files = {
    'pharos.yaml': 'geo: { databases: [small.mmdb] }\ntransfer: { catalog: catalog.invalid }\n',
    'zones/b.yaml': 'zone: b.example\nnameservers: [ns1.example.net.]\n',
    'zones/a.yaml': 'zone: A.example\nnameservers: [ns1.example.net.]\n',
  };

  test('lists all other zones', async () => {
    const all = recordsOf(await serve(files).tcp(encodeQuery('catalog.invalid', T.AXFR), PEER));
    expect(all.map(({ type }) => type)).toEqual([T.SOA, T.NS, T.TXT, 12, 12, T.SOA]);
    expect(
      all.filter(({ type }) => type === 12).map(({ name, data }) => [name.split('.').slice(1).join('.'), data]),
    ).toEqual([
      ['zones.catalog.invalid.', Buffer.from('\x01a\x07example\0', 'latin1').toString('hex')],
      ['zones.catalog.invalid.', Buffer.from('\x01b\x07example\0', 'latin1').toString('hex')],
    ]);
  });

  test('is refused to those who may not transfer zones', () => {
    const { udp } = serve(files);
    const ask = (from: string): unknown => {
      const { rcode, answer, edns } = decodeMessage(
        udp(encodeQuery('version.catalog.invalid', T.TXT, { edns: {} }), from),
      );
      return [rcode, answer.length, edns?.error];
    };
    expect(ask(PEER)).toEqual([0, 1, undefined]);
    expect(ask(STRANGER)).toEqual([5, 0, 18]);
  });
});
