/**
 * From files to an image: what it contains, what is dropped, what is a mistake.
 */
import { describe, expect, test } from 'vitest';
import { loadInThread } from '../../../../server/threads/load-thread.ts';
import { viewImage } from '../../../../zones/image/image.ts';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { T } from '../../../support/message.ts';
import { answering, folderOf, mistakesOf, NO_GEOGRAPHY, type Answering } from '../../../support/pharos.ts';

const HEAD = 'zone: example.com\nnameservers: [ns.example.net.]\n';

function zone(more: string, others: Readonly<Record<string, string>> = {}): Answering {
  return answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': HEAD + more, ...others });
}

const data = (server: Answering, name: string, type: number): string[] =>
  server.ask(name, type, { overTcp: true }).answer.map((record) => `${record.ttl} ${record.data}`);

describe('RRsets', () => {
  test("an exact duplicate counts once, and the TTL is the first record's (RFC 2181 5)", () => {
    const db = '@ 60 TXT one\nwww 60 A 192.0.2.1\nWWW 90 A 192.0.2.2\nwww 60 A 192.0.2.1\n';
    const server = zone('include: [more.db]\n', { 'zones/more.db': db });
    expect(data(server, 'www.example.com', T.A)).toEqual(['60 c0000201', '60 c0000202']);
  });

  test('records of one owner from several places are one RRset', () => {
    const server = zone('ttl: 5\nrecords: { www: { A: 192.0.2.1 } }\ninclude: [a.db, b.db]\n', {
      'zones/a.db': 'www 5 A 192.0.2.2\nother 5 A 192.0.2.9\n',
      'zones/b.db': 'www 5 A 192.0.2.3\n',
    });
    expect(data(server, 'www.example.com', T.A)).toHaveLength(3);
  });

  test('names in SOA, MX and NS are compressed against the question and each other', () => {
    const mx = Array.from({ length: 40 }, (_, i) => `${i} mx${i}.a-long-name-for-a-mail-exchanger`).join(', ');
    const server = zone(`records: { "@": { MX: [${mx}] } }\n`);
    const response = server.exchange(Buffer.from('000000000001000000000000076578616d706c6503636f6d00000f0001', 'hex'), {
      overTcp: true,
    });
    // 12 of head, 2 of preference, 5 or 6 of the first label, 2 of a pointer; one name in full.
    expect(response?.length).toBeLessThan(29 + 40 * 23 + 64);
    const names = server
      .ask('example.com', T.MX, { overTcp: true })
      .answer.map((record) => Buffer.from(record.data, 'hex').toString('latin1', 2));
    expect(names[39]).toBe('\u0004mx39\u0020a-long-name-for-a-mail-exchanger\u0007example\u0003com\u0000');
  });

  test('an RRset larger than a message is a mistake at its first record', () => {
    const texts = Array.from(
      { length: 300 },
      (_, i) => `big TXT "${String(i).padStart(3, '0')}${'x'.repeat(240)}"`,
    ).join('\n');
    const mistakes = mistakesOf({
      ...NO_GEOGRAPHY,
      'zones/example.com.yaml': `${HEAD}include: [big.db]\n`,
      'zones/big.db': `\n${texts}\n`,
    });
    expect(mistakes).toEqual([expect.stringMatching(/^zones\/big\.db:2 error PH380: this TXT RRset is larger/)]);
  });
});

describe('zones', () => {
  test('the root zone is served, with all names below it that are not in another zone', () => {
    const server = answering({
      ...NO_GEOGRAPHY,
      'zones/root.yaml':
        'zone: .\nnameservers: [ns.example.]\nrecords: { com: { NS: [ns.com] }, ns.com: { A: 192.0.2.1 }, local: { A: 192.0.2.2 } }\n',
      'zones/example.com.yaml': `${HEAD}records: { www: { A: 192.0.2.3 } }\n`,
    });
    expect(data(server, 'local', T.A)).toEqual(['300 c0000202']);
    expect(data(server, 'www.example.com', T.A)).toEqual(['300 c0000203']);
    expect(server.ask('www.example.org', T.A)).toMatchObject({ rcode: 3, aa: true });
    expect(server.ask('www.other.com', T.A)).toMatchObject({ rcode: 0, aa: false });
    expect(server.ask('.', T.SOA).answer).toHaveLength(1);
  });

  test('a child zone between two zones of the same family is found at every depth', () => {
    const child = (name: string): string =>
      `zone: ${name}\nnameservers: [ns.example.net.]\nrecords: { www: { TXT: ${name} } }\n`;
    const server = zone('records: { www: { TXT: example.com } }\n', {
      'zones/b.yaml': child('b.example.com'),
      'zones/c.yaml': child('x.y.b.example.com'),
    });
    for (const name of ['example.com', 'b.example.com', 'x.y.b.example.com']) {
      expect(server.ask(`nothere.${name}`, T.A).authority[0]?.name).toBe(`${name}.`);
      expect(data(server, `www.${name}`, T.TXT)[0]).toContain(Buffer.from(name).toString('hex'));
    }
    expect(server.ask('y.b.example.com', T.A)).toMatchObject({ rcode: 3 });
  });

  test('names below a delegation, and glue, are not answered; a cut below a cut does not count', () => {
    const server = zone(
      'records: { sub: { NS: [ns.sub] }, ns.sub: { A: 192.0.2.1, TXT: x }, a.sub: { NS: [ns.a.sub] }, ns.a.sub: { A: 192.0.2.2 } }\n',
    );
    for (const [name, type] of [
      ['ns.sub', T.A],
      ['ns.sub', T.TXT],
      ['a.sub', T.NS],
      ['ns.a.sub', T.A],
    ] as const) {
      const response = server.ask(`${name}.example.com`, type);
      expect([response.aa, response.answer.length, response.authority[0]?.name], name).toEqual([
        false,
        0,
        'sub.example.com.',
      ]);
    }
  });
});

describe('a generation', () => {
  test('with a mistake anywhere there is none, and all mistakes are reported', () => {
    const mistakes = mistakesOf({
      ...NO_GEOGRAPHY,
      'zones/a.yaml': 'zone: a.example\n',
      'zones/b.yaml': 'zone: b.example\nnameservers: [ns]\nrecords: { x: { A: 1 } }\n',
    });
    expect(mistakes.filter((line) => line.includes(' error ')).map((line) => line.split(':')[0])).toEqual([
      'zones/a.yaml',
      'zones/b.yaml',
    ]);
  });

  test('the catalog explains the numbers of the image', () => {
    const { generation } = zone(
      'regions: { seoul: { at: KR, min_healthy: 40% } }\nservices: { www: { vips: { a: { region: seoul, A: 192.0.2.1, weight: 4 }, b: { CNAME: x } } }, api: { vips: { c: { AAAA: "2001:db8::1" } } } }\n'.replace(
        ', b: { CNAME: x }',
        ', b: { A: 192.0.2.2 }',
      ),
    );
    const { catalog } = generation;
    expect(
      catalog.vips.map(({ slot, target, region, weight, a, aaaa }) => [slot, target, region, weight, a ?? aaaa]),
    ).toEqual([
      [0, 'www.example.com/a', 1, 4, '192.0.2.1'],
      [1, 'www.example.com/b', 0, 1, '192.0.2.2'],
      [2, 'api.example.com/c', 0, 1, '2001:db8::1'],
    ]);
    expect(catalog.services.map(({ name, firstSlot, vipCount }) => [name, firstSlot, vipCount])).toEqual([
      ['www.example.com', 0, 2],
      ['api.example.com', 2, 1],
    ]);
    expect(catalog.regions.map(({ name, minHealthy }) => [name, minHealthy])).toEqual([
      ['', 0],
      ['seoul', 0.4],
    ]);
  });

  test('services with equal steps and regions share a map', () => {
    const service = (name: string, region: string): string =>
      `  ${name}: { vips: { a: { region: ${region}, A: 192.0.2.1 }, b: { region: dublin, A: 192.0.2.2 } } }\n`;
    const { generation } = zone(
      `regions: { seoul: { at: KR }, dublin: { at: IE } }\nservices:\n${service('one', 'seoul')}${service('two', 'seoul')}${service('three', 'dublin')}`,
    );
    expect(viewImage(generation.image, generation.atlas).plan.mapViews).toHaveLength(2);
  });

  test('memory that is not an image is rejected', () => {
    const { generation } = zone('');
    const { image, atlas } = generation;
    for (const arena of [new SharedArrayBuffer(8), new SharedArrayBuffer(1 << 20)]) {
      expect(() => viewImage({ ...image, arena }, atlas)).toThrow('not an image');
    }
    expect(() => viewImage({ ...image, plan: new SharedArrayBuffer(1024) }, atlas)).toThrow('not a plan');
  });

  test('a separate thread gives the same result', async () => {
    using folder = folderOf({
      ...NO_GEOGRAPHY,
      'zones/example.com.yaml': `${HEAD}soa: { serial: 5 }\nrecords: { www: { A: 192.0.2.1 } }\n`,
    });
    const input = { file: undefined, cwd: folder.path, env: {}, cores: 1 };
    const [here, there] = [loadGeneration(input), await loadInThread(input)];
    if (!here.ok || !there.ok) throw new Error('there are mistakes');
    const { image } = there.value;
    expect(Buffer.from(image.arena).equals(Buffer.from(here.value.image.arena))).toBe(true);
    expect(Buffer.from(image.plan).equals(Buffer.from(here.value.image.plan))).toBe(true);
    expect(image.root).toBe(here.value.image.root);
    expect(there.value.catalog).toEqual(here.value.catalog);
  });

  test('a missing file is a mistake in the thread too', async () => {
    using folder = folderOf({});
    const outcome = await loadInThread({ file: 'nothere.yaml', cwd: folder.path, env: {}, cores: 1 });
    expect([outcome.ok, outcome.diagnostics.length > 0]).toEqual([false, true]);
  });
});
