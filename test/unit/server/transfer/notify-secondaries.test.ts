/**
 * NOTIFY (RFC 1996) to secondaries that are sockets of the test.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { TransferSettings } from '../../../../config/settings.ts';
import { createSecondaryNotifier } from '../../../../server/transfer/notify-secondaries.ts';
import { parsePrefix } from '../../../../wire/address.ts';
import { parseName } from '../../../../wire/name.ts';
import { readTsig } from '../../../../wire/tsig-record.ts';
import { createSigner, verifyTsig, type TsigKey } from '../../../../wire/tsig.ts';
import { viewImage } from '../../../../zones/image/image.ts';
import { decodeMessage, T } from '../../../support/message.ts';
import { load, NO_GEOGRAPHY } from '../../../support/pharos.ts';
import { createManualClock } from '../../health/support.ts';
import { LOOPBACK } from '../client.ts';

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

const KEY: TsigKey = {
  label: 'second',
  name: parseName('second.'),
  algorithm: 'hmac-sha512',
  secret: Buffer.from('secretsecretsecretsecretsecretse'),
};

function imageOf(...zones: readonly [name: string, serial: number][]) {
  const files = zones.map(([name, serial]) => [
    `zones/${name}.yaml`,
    `zone: ${name}\nnameservers: [ns]\nsoa: { serial: ${serial} }\nrecords: { ns: { A: 192.0.2.53 } }\n`,
  ]);
  const { image, atlas } = load({ ...NO_GEOGRAPHY, ...(Object.fromEntries(files) as Record<string, string>) });
  return viewImage(image, atlas);
}

type Heard = { readonly message: Buffer; readonly respond: (response: Buffer) => void; readonly from: string };

/** A secondary on a free port of an address. */
async function secondary(address = '127.0.0.1') {
  const socket = createSocket('udp4').bind(0, address);
  await once(socket, 'listening');
  closers.push(() => {
    socket.close();
  });
  const heard: Heard[] = [];
  const waiting: ((heard: Heard) => void)[] = [];
  socket.on('message', (message, { port, address: from }) => {
    const one = {
      message,
      from,
      respond: (response: Buffer) => {
        socket.send(response, port, from);
      },
    };
    const next = waiting.shift();
    if (next) next(one);
    else heard.push(one);
  });
  return {
    endpoint: { host: address, port: socket.address().port },
    next: (): Promise<Heard> => {
      const got = heard.shift();
      return got ? Promise.resolve(got) : new Promise((resolve) => void waiting.push(resolve));
    },
  };
}

/** A notifier whose time passes only when a test lets it pass. */
function notifier() {
  const lines: Record<'info' | 'warn' | 'error', string[]> = { info: [], warn: [], error: [] };
  const all: string[] = [];
  let written = Promise.withResolvers<undefined>();
  const writer = (level: keyof typeof lines) => (line: string) => {
    lines[level].push(line);
    all.push(line);
    written.resolve(undefined);
    written = Promise.withResolvers<undefined>();
  };
  const log = { info: writer('info'), warn: writer('warn'), error: writer('error') };
  // The tests sign with the time of the system.
  const clock = createManualClock(Date.now());
  const made = createSecondaryNotifier(log, clock);
  closers.push(() => {
    made.stop();
  });
  return {
    ...made,
    clock,
    lines,
    logged: async (pattern: RegExp) => {
      while (!all.some((line) => pattern.test(line))) await written.promise;
    },
  };
}

/** Nothing that was sent to the secondary is left: a message sent now is the next one there. */
async function expectSilence({ endpoint, next }: Awaited<ReturnType<typeof secondary>>): Promise<void> {
  const socket = createSocket('udp4');
  closers.push(() => {
    socket.close();
  });
  socket.send('the end', endpoint.port, endpoint.host);
  expect((await next()).message.toString()).toBe('the end');
}

function settingsFor(endpoints: TransferSettings['notify'], key?: string): TransferSettings {
  const from = parsePrefix('127.0.0.0/8');
  if (!from) throw new Error('no prefix');
  return { keys: [KEY], allow: [{ from, key, steered: 'default' }], notify: endpoints, catalog: undefined };
}

/** The header and the question back, as a secondary does, with an RCODE. */
function acknowledge(message: Buffer, rcode = 0): Buffer {
  const end = message.indexOf(0, 12) + 5;
  const response = Buffer.from(message.subarray(0, end));
  response.writeUInt16BE(0xa400 | rcode, 2);
  response.fill(0, 6, 12);
  return response;
}

test('names the zone, and its new SOA', async () => {
  const { endpoint, next } = await secondary();
  const { tell, logged } = notifier();
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([endpoint]), [LOOPBACK]);
  const { message, respond, from } = await next();
  const { opcode, aa, isResponse, question, answer } = decodeMessage(message);
  expect([opcode, aa, isResponse, from]).toEqual([4, true, false, '127.0.0.1']);
  expect(question?.toString('latin1')).toBe('\x07example\x03com\0\0\x06\0\x01');
  expect(answer.map(({ name, type }) => [name, type])).toEqual([['example.com.', T.SOA]]);
  expect(Buffer.from(answer[0]?.data ?? '', 'hex').readUInt32BE((answer[0]?.data.length ?? 0) / 2 - 20)).toBe(7);
  respond(acknowledge(message));
  await logged(/acknowledged NOTIFY for example.com/);
});

test('is repeated, with growing waits, until it is acknowledged', async () => {
  const heard = await secondary();
  const { tell, logged, clock } = notifier();
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([heard.endpoint]), [LOOPBACK]);
  const first = await heard.next();
  for (const waitMs of [1000, 2000, 4000]) {
    await clock.advance(waitMs - 1);
    await expectSilence(heard);
    await clock.advance(1);
    const again = await heard.next();
    expect(again.message.readUInt16BE()).toBe(first.message.readUInt16BE());
    if (waitMs === 4000) again.respond(acknowledge(again.message));
  }
  await logged(/acknowledged NOTIFY for/);
  await clock.advance(60_000);
  await expectSilence(heard);
});

test('ends after six tries, with a warning', async () => {
  const heard = await secondary();
  const { tell, clock, lines } = notifier();
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([heard.endpoint]), [LOOPBACK]);
  for (let time = 0; time < 6; time++) {
    await heard.next();
    expect(lines.warn).toEqual([]);
    await clock.advance(1000 * 2 ** time);
  }
  expect(lines.warn).toEqual([`127.0.0.1:${heard.endpoint.port} did not acknowledge NOTIFY for example.com`]);
  await clock.advance(600_000);
  await expectSilence(heard);
});

test('a refusal ends it too, with a warning', async () => {
  const { endpoint, next } = await secondary();
  const { tell, logged, lines } = notifier();
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([endpoint]), [LOOPBACK]);
  const { message, respond } = await next();
  respond(acknowledge(message, 9));
  await logged(/rejected NOTIFY for .* RCODE 9/);
  expect(lines.warn).toHaveLength(1);
});

test('a message that is not its response does not count', async () => {
  const one = await secondary();
  const stranger = await secondary('127.0.0.2');
  const { tell, logged, lines, clock } = notifier();
  const image = imageOf(['example.com', 7], ['example.net', 7]);
  tell(['example.com', 'example.net'], image, settingsFor([one.endpoint]), [LOOPBACK]);
  const { message, respond } = await one.next();
  const query = Buffer.from(message);
  const otherOpcode = acknowledge(message);
  otherOpcode.writeUInt16BE(0x8400, 2);
  const other = await one.next();
  const otherId = acknowledge(message);
  // Neither this notice nor the other one.
  while ([message, other.message].some((taken) => taken.readUInt16BE() === otherId.readUInt16BE()))
    otherId.writeUInt16BE((otherId.readUInt16BE() + 1) & 0xffff);
  for (const wrong of [query, otherOpcode, otherId, Buffer.alloc(3)]) respond(wrong);
  // By its response the wrong ones have been read too.
  other.respond(acknowledge(other.message));
  await logged(/acknowledged NOTIFY for example.net/);
  expect(lines.info).toHaveLength(1);
  await clock.advance(1000);
  const again = await one.next();
  again.respond(acknowledge(again.message));
  await logged(/acknowledged NOTIFY for example.com/);
  await expectSilence(one);
  await expectSilence(stranger);
});

test('a newer serial replaces the one in progress', async () => {
  const { endpoint, next } = await secondary();
  const { tell, logged, lines } = notifier();
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([endpoint]), [LOOPBACK]);
  const first = await next();
  tell(['example.com'], imageOf(['example.com', 8]), settingsFor([endpoint]), [LOOPBACK]);
  const second = await next();
  expect(second.message.readUInt32BE(second.message.length - 20)).toBe(8);
  first.respond(acknowledge(first.message));
  second.respond(acknowledge(second.message));
  await logged(/acknowledged NOTIFY for/);
  expect(lines.info).toHaveLength(1);
});

test('zones that are not told of are not sent; targets that are gone are forgotten', async () => {
  const [one, other] = [await secondary(), await secondary()];
  const { tell, logged, clock } = notifier();
  const image = imageOf(['example.com', 7], ['example.net', 7]);
  tell(['example.com'], image, settingsFor([one.endpoint, other.endpoint]), [LOOPBACK]);
  const { message, respond } = await one.next();
  respond(acknowledge(message));
  await other.next();
  tell(['example.net'], image, settingsFor([one.endpoint]), [LOOPBACK]);
  const names = new Set<string | undefined>();
  const seen = await one.next();
  names.add(decodeMessage(seen.message).answer[0]?.name);
  seen.respond(acknowledge(seen.message));
  expect(names).toEqual(new Set(['example.net.']));
  await logged(/acknowledged NOTIFY for example.net/);
  await clock.advance(600_000);
  await expectSilence(other);
});

test('many zones are sent in turn, all of them', async () => {
  const { endpoint, next } = await secondary();
  const { tell } = notifier();
  const zones = Array.from({ length: 100 }, (_, i): [string, number] => [`zone-${i}.test`, i]);
  tell(
    zones.map(([name]) => name),
    imageOf(...zones),
    settingsFor([endpoint]),
    [LOOPBACK],
  );
  const names = new Set<string | undefined>();
  while (names.size < 100) {
    const { message, respond } = await next();
    names.add(decodeMessage(message).answer[0]?.name);
    respond(acknowledge(message));
  }
});

test('is signed for a secondary with a key, and its response must be signed too', async () => {
  const { endpoint, next } = await secondary();
  const { tell, logged, lines, clock } = notifier();
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([endpoint], 'second'), [LOOPBACK]);
  const { message, respond } = await next();
  const tsig = readTsig(message);
  if (typeof tsig === 'string') throw new Error(tsig);
  expect(verifyTsig(message, tsig, [KEY], Date.now() / 1000).kind).toBe('valid');
  respond(acknowledge(message));
  respond(acknowledge(message));
  await logged(/is not signed with the key second/);
  expect(lines.info).toEqual([]);
  await clock.advance(1000);
  const again = await next();
  const response = Buffer.alloc(512);
  response.set(acknowledge(again.message));
  const mac = readTsig(again.message);
  if (typeof mac === 'string') throw new Error(mac);
  const signer = createSigner(KEY, () => Math.floor(Date.now() / 1000), mac.mac);
  again.respond(response.subarray(0, signer.sign(response, acknowledge(again.message).length)));
  await logged(/acknowledged NOTIFY for/);
  expect(lines.warn).toHaveLength(1);
});

test('is sent from the address that the server listens on', async () => {
  const { endpoint, next } = await secondary();
  const { tell } = notifier();
  const listen = ['0.0.0.0', '192.0.2.1', '127.0.0.9'].map((host) => ({ host, port: 53 }));
  tell(['example.com'], imageOf(['example.com', 7]), settingsFor([endpoint]), listen);
  expect((await next()).from).toBe('127.0.0.9');
});
