import { describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../../../config/libc.ts';
import { TRANSPORT } from '../../../../server/contract.ts';
import { COUNTER } from '../../../../server/counters.ts';
import type { Io } from '../../../../server/threads/supervisor.ts';
import { UDP_OCTETS } from '../../../../wire/limits.ts';
import { DO } from '../answer/answerer.ts';
import { LOOPBACK, query, read, serve, udpClient, until } from '../client.ts';

const ios: Io[] = whyNoLibc() === undefined ? ['batch', 'dgram'] : ['dgram'];

describe.each(ios)('UDP through %s', (io) => {
  test('a query is answered to its client, whose address the answerer gets', async () => {
    await using running = await serve({ io });
    expect(running.server.io).toBe(io);
    using client = await udpClient(running.endpoint);
    const response = read(await client.ask(query(0x1234, DO.ECHO, 'Hello')));
    expect(response).toEqual({
      id: 0x1234,
      isResponse: true,
      generation: 1,
      thread: 0,
      transport: TRANSPORT.UDP,
      peer: [127, 0, 0, 1],
      body: 'Hello',
    });
  });

  test('an IPv6 client is given as 16 octets, beside IPv4 in the same thread', async () => {
    await using running = await serve({ io, listen: [LOOPBACK, { host: '::1', port: 0 }] });
    const peers = [];
    for (const endpoint of running.server.addresses()) {
      using client = await udpClient(endpoint);
      for (let turn = 0; turn < 2; turn++) peers.push(read(await client.ask(query(1))).peer.join('.'));
    }
    const v6 = [...new Array<number>(15).fill(0), 1].join('.');
    expect(peers).toEqual(['127.0.0.1', '127.0.0.1', v6, v6]);
    const counters = running.server.counters();
    expect([counters[COUNTER.QUERIES_UDP4], counters[COUNTER.QUERIES_UDP6]]).toEqual([2, 2]);
  });

  test('many clients at once get their own responses, also with missing ones and exceptions between', async () => {
    await using running = await serve({ io });
    const clients = await Promise.all(Array.from({ length: 5 }, () => udpClient(running.endpoint)));
    for (let id = 0; id < 100; id++) {
      for (const [index, client] of clients.entries()) {
        if (id % 7 === 3) client.send(query(id, id % 2 === 0 ? DO.STAY_SILENT : DO.THROW));
        else client.send(query(id, DO.ECHO, `client ${index}, query ${id}, ${'x'.repeat(id)}`));
      }
    }
    for (const [index, client] of clients.entries()) {
      for (let id = 0; id < 100; id++) {
        if (id % 7 === 3) continue;
        const response = read(await client.receive());
        expect(response).toMatchObject({ id, body: `client ${index}, query ${id}, ${'x'.repeat(id)}` });
      }
      client[Symbol.dispose]();
    }
    const counters = running.server.counters();
    expect(counters[COUNTER.QUERIES_UDP4]).toBe(500);
    expect(counters[COUNTER.SILENT]).toBe(35);
    expect(counters[COUNTER.EXCEPTIONS]).toBe(35);
    expect(counters[COUNTER.RCODES]).toBe(430);
    expect(counters[COUNTER.SEND_ERRORS]).toBe(0);
  });

  test('a query that makes the answerer throw is dropped; a flood of them is one line of log', async () => {
    await using running = await serve({ io });
    using client = await udpClient(running.endpoint);
    for (let id = 0; id < 50; id++) client.send(query(id, DO.THROW));
    expect(read(await client.ask(query(99))).id).toBe(99);
    await until(() => running.lines.error.length > 0);
    expect(running.server.counters()[COUNTER.EXCEPTIONS]).toBe(50);
    expect(running.lines.error).toHaveLength(1);
    expect(running.lines.error[0]).toMatch(/udp-0: dropped a query: Error: this query is bad/);
  });

  test('a datagram shorter than a header is dropped', async () => {
    await using running = await serve({ io });
    using client = await udpClient(running.endpoint);
    for (let length = 0; length < 12; length++) client.send(Buffer.alloc(length));
    expect(read(await client.ask(query(1))).id).toBe(1);
    const counters = running.server.counters();
    expect([counters[COUNTER.MALFORMED], counters[COUNTER.QUERIES_UDP4]]).toEqual([12, 1]);
  });

  test('a datagram longer than EDNS allows is passed as far as it was received, and the next one is complete', async () => {
    await using running = await serve({ io });
    using client = await udpClient(running.endpoint);
    const response = await client.ask(query(1, DO.ECHO, 'y'.repeat(4000)));
    expect(response.length).toBe(UDP_OCTETS);
    expect(read(await client.ask(query(2, DO.ECHO, 'short'))).body).toBe('short');
    expect(running.server.counters()[COUNTER.OVERSIZE]).toBe(1);
  });

  test('responses are counted by RCODE, TC and octets', async () => {
    await using running = await serve({ io });
    using client = await udpClient(running.endpoint);
    const truncatedRefused = query(7);
    truncatedRefused[2] = 0x02;
    truncatedRefused[3] = 5;
    await client.ask(truncatedRefused);
    const counters = running.server.counters();
    expect(counters[COUNTER.RCODES + 5]).toBe(1);
    expect(counters[COUNTER.TRUNCATED]).toBe(1);
    expect([counters[COUNTER.OCTETS_IN], counters[COUNTER.OCTETS_OUT]]).toEqual([13, 33]);
  });

  test('several threads share a port', async () => {
    await using running = await serve({ io, workers: 2 });
    const threads = new Set<number | undefined>();
    // A client's thread is a hash of its port: 40 of them miss one of two with a probability of 2^-39.
    for (let port = 0; port < 40; port++) {
      using client = await udpClient(running.endpoint);
      threads.add(read(await client.ask(query(port))).thread);
    }
    expect([...threads].toSorted()).toEqual([0, 1]);
  });
});

describe.skipIf(whyNoLibc() !== undefined || process.platform !== 'linux')('a wildcard address', () => {
  test.each([
    { listen: '0.0.0.0', ask: ['127.0.0.1', '127.0.0.2', '127.1.2.3'] },
    { listen: '::', ask: ['::1'] },
  ])('$listen replies from the address that was queried', async ({ listen, ask }) => {
    await using running = await serve({ io: 'batch', listen: [{ host: listen, port: 0 }] });
    for (const host of ask) {
      using client = await udpClient({ host, port: running.endpoint.port });
      for (let id = 1; id <= 3; id++) expect(read(await client.ask(query(id))).id).toBe(id);
    }
    expect(running.server.counters()[COUNTER.SEND_ERRORS]).toBe(0);
  });

  test('of IPv6 leaves IPv4 to others', async () => {
    await using v6 = await serve({ io: 'batch', listen: [{ host: '::', port: 0 }] });
    const { port } = v6.endpoint;
    await using v4 = await serve({
      io: 'batch',
      listen: [{ host: '0.0.0.0', port }],
      publication: { generation: 4, payload: undefined },
    });
    using client = await udpClient({ host: '127.0.0.1', port });
    expect(read(await client.ask(query(1))).generation).toBe(4);
    expect(v4.server.counters()[COUNTER.QUERIES_UDP4]).toBe(1);
  });
});
