import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as c from '../../../config/libc.ts';
import {
  BATCH,
  CONTROL_OCTETS,
  createMessages,
  NAME_OCTETS,
  peerOctets,
  peerPort,
  peerStart,
  reply,
  SLOT_OCTETS,
} from '../../../server/io/message-vector.ts';
import { closeSockets, openUdpSockets } from '../../../server/io/sockets.ts';

const here = c.whyNoLibc() === undefined;

test.runIf(!here)('where libc cannot be called, the reason is in words', () => {
  expect(c.whyNoLibc()).toMatch(/recvmmsg|koffi/);
  expect(() => c.libc()).toThrow(c.whyNoLibc());
});

describe.runIf(here)('libc', () => {
  test('failures leave their errno', () => {
    expect(c.libc().close(-1)).toBe(-1);
    expect(c.libc().errno()).toBe(c.ERRNO.EBADF);
  });

  test('a buffer has one address, whatever looks at it', () => {
    const buffer = new ArrayBuffer(64);
    expect(c.memoryAddress(buffer)).toBe(c.memoryAddress(new Uint8Array(buffer).buffer));
    expect(c.memoryAddress(buffer)).toBeGreaterThan(0n);
  });

  test.each([0, 1, 4095, 2 ** 22 - 1, 2 ** 24 + 13])('%d octets of shared memory are as many, and 0', (octets) => {
    const memory = new Uint8Array(c.allocateShared(octets));
    expect(memory.byteLength).toBe(octets);
    expect(memory.every((octet) => octet === 0)).toBe(true);
  });

  test('the kernel may give large pages for much shared memory, and for it alone', () => {
    const memory = new Uint8Array(c.allocateShared(2 ** 24));
    const little = new Uint8Array(c.allocateShared(2 ** 24 - 1));
    const usual = new Uint8Array(new SharedArrayBuffer(2 ** 24));
    expect([memory, little, usual].map(isAdvised)).toEqual([true, false, false]);
  });

  test('a datagram goes out of a slot and into another', () => {
    const one = openUdpSockets({ host: '127.0.0.1', port: 0 }, 1);
    const two = openUdpSockets({ host: '127.0.0.1', port: 0 }, 1);
    const [a, b] = [one.sockets[0]?.fd ?? -1, two.sockets[0]?.fd ?? -1];
    const inbox = createMessages();
    const outbox = createMessages();
    // Slot 5 is made to look as if `two` had sent a query.
    outbox.names.set([c.AF_INET, 0, two.port >> 8, two.port & 0xff, 127, 0, 0, 1], 5 * NAME_OCTETS);
    outbox.headers[5 * 16 + 2] = 16;
    outbox.buffer.set([1, 2, 3], 5 * SLOT_OCTETS);
    reply(outbox, 5, 3);
    expect(c.libc().sendmmsg(a, outbox.addresses[5] ?? c.NULL, 1, 0)).toBe(1);
    expect(c.libc().recvmmsg(b, inbox.addresses[0] ?? c.NULL, BATCH, c.MSG_WAITFORONE, c.NULL)).toBe(1);
    expect([...inbox.buffer.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(peerPort(inbox, 0)).toBe(one.port);
    expect([...inbox.names.subarray(peerStart(inbox, 0), peerStart(inbox, 0) + 4)]).toEqual([127, 0, 0, 1]);
    closeSockets([...one.sockets, ...two.sockets]);
  });
});

describe.runIf(here)('a received slot', () => {
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
  const v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1];
  test.each([
    { name: [c.AF_INET, 0, 0x14, 0xe9, 192, 0, 2, 1], octets: 4, start: 4 },
    { name: [c.AF_INET6, 0, 0x14, 0xe9, 0, 0, 0, 0, ...v6], octets: 16, start: 8 },
    { name: [c.AF_INET6, 0, 0x14, 0xe9, 0, 0, 0, 0, ...mapped], octets: 4, start: 20 },
  ])('has a client of $octets octets from $start', ({ name, octets, start }) => {
    const inbox = createMessages();
    inbox.names.set(name, NAME_OCTETS);
    expect([peerOctets(inbox, 1), peerStart(inbox, 1) - NAME_OCTETS, peerPort(inbox, 1)]).toEqual([
      octets,
      start,
      5353,
    ]);
  });

  const v4Control = [28, 0, 0, 0, 0, 0, 0, 0, c.IPPROTO_IP, 0, 0, 0, c.IP_PKTINFO, 0, 0, 0];
  const v6Control = [36, 0, 0, 0, 0, 0, 0, 0, c.IPPROTO_IPV6, 0, 0, 0, 50, 0, 0, 0];
  const rest = (first: number, second: number) => [first, second, ...new Array<number>(14).fill(1)];
  test.each([
    ['an IPv4 address, by any interface', [...v4Control, 3, 0, 0, 0, 192, 0, 2, 1], 16, 0, 32],
    ['a global IPv6 address, by any interface', [...v6Control, ...rest(0x20, 1), 3, 0, 0, 0], 32, 0, 40],
    ['a link-local address, by the interface it came', [...v6Control, ...rest(0xfe, 0x80), 3, 0, 0, 0], 32, 3, 40],
    ['the address that routing says, for multicast', [...v6Control, ...rest(0xff, 2), 3, 0, 0, 0], 32, 3, 0],
  ])('is replied to from %s', (_from, control, indexAt, interfaceIndex, controlOctets) => {
    const inbox = createMessages();
    inbox.controls.set(control, 2 * CONTROL_OCTETS);
    inbox.headers[2 * 16 + 10] = control[8] === c.IPPROTO_IPV6 ? 40 : 32;
    reply(inbox, 2, 99);
    expect(inbox.controls[2 * CONTROL_OCTETS + indexAt]).toBe(interfaceIndex);
    expect(inbox.headers[2 * 16 + 10]).toBe(controlOctets);
    expect(inbox.iovecs[2 * 4 + 2]).toBe(99);
  });

  test('starts on a cache line of its own, in another set than its neighbour', () => {
    expect(SLOT_OCTETS % 64).toBe(0);
    expect((SLOT_OCTETS / 64) % 2).toBe(1);
  });
});

/** proc_pid_smaps(5): whether the middle of `octets` lies in memory for which large pages were asked (`hg`). */
function isAdvised(octets: Uint8Array): boolean {
  const middle = c.memoryAddress(octets.buffer) + BigInt(octets.byteLength >> 1);
  for (const mapping of readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [from = '0', to = '0'] = mapping.slice(0, mapping.indexOf(' ')).split('-');
    if (middle >= BigInt(`0x${from}`) && middle < BigInt(`0x${to}`)) return /^VmFlags:.* hg\b/m.test(mapping);
  }
  throw new Error('no mapping has that address');
}
