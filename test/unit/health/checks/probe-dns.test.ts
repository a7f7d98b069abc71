import * as dgram from 'node:dgram';
import { once } from 'node:events';
import * as net from 'node:net';
import { createServer, Packet } from 'dns2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeDns } from '../../../../health/checks/probe-dns.ts';
import { systemClock } from '../../../../health/clock.ts';
import { freePort } from '../../../support/free-port.ts';
import { dnsCheck, lateProbe, listen, never } from '../support.ts';

/** Answers by the first label of the name: `ok`, `nodata`, `rcode3`, `big` (does not fit UDP), `hang`. */
const server = createServer({
  udp: true,
  tcp: true,
  handle: (request, send) => {
    const response = Packet.createResponseFromRequest(request);
    const [question] = request.questions;
    const what = question?.name.split('.')[0] ?? '';
    const { A, TXT } = Packet.TYPE;
    const record = (data: object): void => {
      response.answers.push(recordOf({ name: question?.name ?? '', type: A, ...data }));
    };
    if (what === 'ok') record({ address: '192.0.2.1' });
    if (what === 'two') for (const last of [1, 2]) record({ address: `192.0.2.${last}` });
    if (what === 'text') record({ type: TXT, data: 'hello' });
    if (what === 'big') for (let last = 1; last < 100; last += 1) record({ address: `192.0.2.${last}` });
    if (what.startsWith('rcode')) response.header.rcode = Number(what.slice(5));
    if (what !== 'hang') void send(response);
  },
});
let port = 0;

beforeAll(async () => {
  port = await freePort();
  await server.listen({ udp: { port, address: '127.0.0.1' }, tcp: { port, address: '127.0.0.1' } });
});
afterAll(() => server.close());

describe('dns', () => {
  test.each([
    ['NOERROR and data', 'ok.example.com', 'A', true, 'NOERROR, 1 A'],
    ['two records', 'two.example.com', 'A', true, 'NOERROR, 2 A'],
    ['ANY takes any', 'text.example.com', 'ANY', true, 'NOERROR, 1 ANY'],
    ['NOERROR without data', 'nodata.example.com', 'A', false, 'NOERROR without A data'],
    ['data of another type', 'text.example.com', 'A', false, 'NOERROR without A data'],
    ['NXDOMAIN', 'rcode3.example.com', 'A', false, 'answered NXDOMAIN'],
    ['REFUSED', 'rcode5.example.com', 'A', false, 'answered REFUSED'],
    ['what does not fit UDP is asked for over TCP', 'big.example.com', 'A', true, 'NOERROR, 99 A'],
    ['a type that only we have a mnemonic for', 'nodata.example.com', 'HTTPS', false, 'NOERROR without HTTPS data'],
    ['no such type', 'ok.example.com', 'NONSENSE', false, 'unknown record type NONSENSE'],
    ['no answer', 'hang.example.com', 'A', false, 'no answer in 200 ms'],
  ])('%s', async (_, query, rtype, passed, reason) => {
    const isLate = reason.startsWith('no answer');
    const spec = dnsCheck({ query, rtype, timeoutMs: isLate ? 200 : 5000 });
    const start = (clock = systemClock) => probeDns({ host: '127.0.0.1', port }, spec, never, { clock });
    const result = await (isLate ? lateProbe(200, start) : start());
    expect(result).toMatchObject({ passed, reason });
  });

  test('IPv6, however the address is written', async () => {
    const socket = dgram.createSocket('udp6');
    socket.on('message', (message, from) => {
      const response = Packet.createResponseFromRequest(Packet.parse(message));
      response.answers.push(recordOf({ address: '192.0.2.1' }));
      socket.send(response.toBuffer(), from.port, from.address);
    });
    socket.bind(0, '::1');
    await once(socket, 'listening');
    const target = { host: '0:0:0:0:0:0:0:1', port: socket.address().port };
    expect(await probeDns(target, dnsCheck(), never)).toMatchObject({ passed: true });
    socket.close();
  });

  test('answers from elsewhere, to other queries, and garbage do not count', async () => {
    const socket = dgram.createSocket('udp4');
    const other = dgram.createSocket('udp4');
    socket.on('message', (message, from) => {
      const response = Packet.createResponseFromRequest(Packet.parse(message));
      response.answers.push(recordOf({ address: '192.0.2.1' }));
      other.send(response.toBuffer(), from.port, from.address);
      response.header.id = (response.header.id + 1) % 65_536;
      socket.send(response.toBuffer(), from.port, from.address);
      socket.send('garbage', from.port, from.address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const target = { host: '127.0.0.1', port: socket.address().port };
    const spec = dnsCheck({ timeoutMs: 150 });
    const result = await lateProbe(150, (clock) => probeDns(target, spec, never, { clock }));
    expect(result).toMatchObject({ passed: false });
    socket.close();
    other.close();
  });

  test('the deadline covers TCP, and nothing stays open', async () => {
    const tcp = await listen(net.createServer(), await freePort());
    const udp = dgram.createSocket('udp4');
    udp.on('message', (message, from) => {
      const response = Packet.createResponseFromRequest(Packet.parse(message));
      response.header.tc = 1;
      udp.send(response.toBuffer(), from.port, from.address);
    });
    udp.bind(tcp.port, '127.0.0.1');
    await once(udp, 'listening');
    const before = openSockets();
    const target = { host: '127.0.0.1', port: tcp.port };
    const spec = dnsCheck({ timeoutMs: 150 });
    const result = await lateProbe(150, (clock) => probeDns(target, spec, never, { clock }));
    expect(result).toMatchObject({ passed: false, reason: 'no answer in 150 ms' });
    await tcp.quiet();
    await expect.poll(openSockets).toBeLessThanOrEqual(before);
    udp.close();
    await tcp.close();
  });

  test('cancelled, it leaves no socket behind', async () => {
    const before = openSockets();
    const controller = new AbortController();
    const spec = dnsCheck({ query: 'hang.example.com', timeoutMs: 100 });
    const running = probeDns({ host: '127.0.0.1', port }, spec, controller.signal);
    controller.abort();
    expect(await running).toMatchObject({ passed: false, reason: 'probe cancelled' });
    await expect.poll(openSockets).toBeLessThanOrEqual(before);
  });
});

/** dns2 reads what it needs from a plain object. */
function recordOf(data: object): Packet['answers'][number] {
  return Object.assign(new Packet.Resource('x', 1, 1, 60), data);
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind.includes('UDP') || kind.includes('TCPSocket')).length;
}
