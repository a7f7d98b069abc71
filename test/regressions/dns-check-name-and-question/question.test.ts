/**
 * A `dns` check accepted any message with the ID of its query as the answer: one to another question, or with records
 * of another class. And it queried `a\.b.example.com` and `a\032b.example.com` with the backslash in the label.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { probeDns } from '../../../health/checks/probe-dns.ts';
import { parseName } from '../../../wire/name.ts';
import { dnsCheck, never } from '../../unit/health/support.ts';

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

/** A server that responds with `reply` of each query, and keeps the queries. */
async function server(reply: (query: Buffer) => Buffer) {
  const socket = createSocket('udp4');
  open.push(socket);
  const queries: Buffer[] = [];
  socket.on('message', (query, from) => {
    queries.push(query);
    socket.send(reply(query), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { queries, target: { host: '127.0.0.1', port: socket.address().port } };
}

/** NOERROR with one record of TYPE A, at the queried name. */
function answered(query: Buffer, { question = query.subarray(12), class_ = 1 } = {}): Buffer {
  const record = Buffer.from([0xc0, 12, 0, 1, 0, class_, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
  const header = Buffer.from([...query.subarray(0, 2), 0x84, 0, 0, question.length > 0 ? 1 : 0, 0, 1, 0, 0, 0, 0]);
  return Buffer.concat([header, question, record]);
}

const question = (name: string, type = 1): Buffer => Buffer.from([...parseName(name), 0, type, 0, 1]);

test.each([
  ['its question', {}, { passed: true, reason: 'NOERROR, 1 A' }],
  ['its question in other letters', { question: question('WWW.Example.com.') }, { passed: true }],
  ['another name', { question: question('www.example.net.') }, { passed: false, reason: 'no answer in 200 ms' }],
  ['another type', { question: question('www.example.com.', 28) }, { passed: false, reason: 'no answer in 200 ms' }],
  ['another class of data', { class_: 3 }, { passed: false, reason: 'NOERROR without A data' }],
])('an answer to %s', async (_, change, wanted) => {
  const { target } = await server((query) => answered(query, change));
  expect(await probeDns(target, dnsCheck({ timeoutMs: 200 }), never)).toMatchObject(wanted);
});

test('an error may come without the question', async () => {
  const { target } = await server((query) => Buffer.from([...query.subarray(0, 2), 0x80, 2, 0, 0, 0, 0, 0, 0, 0, 0]));
  expect(await probeDns(target, dnsCheck(), never)).toMatchObject({ passed: false, reason: 'answered SERVFAIL' });
});

test.each([
  ['.', [0]],
  [String.raw`a\.b.example`, [3, ...Buffer.from('a.b'), 7, ...Buffer.from('example'), 0]],
  [String.raw`a\032b.example.`, [3, ...Buffer.from('a b'), 7, ...Buffer.from('example'), 0]],
])('the name %s', async (query, wire) => {
  const { target, queries } = await server((asked) => answered(asked));
  expect(await probeDns(target, dnsCheck({ query }), never)).toMatchObject({ passed: true });
  expect([...(queries[0]?.subarray(12) ?? [])]).toEqual([...wire, 0, 1, 0, 1]);
});
