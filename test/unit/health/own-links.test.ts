/** Which links of this machine are to blame for the silence of a target: the table, and the files of the kernel. */
import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import {
  createLinkWatch,
  deadLinkTo,
  readInterfaces,
  readRoutes4,
  readRoutes6,
  type Links,
} from '../../../health/own-links.ts';
import { createManualClock } from './support.ts';

const ROUTES4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
eth1	0000010A	FE00000A	0003	0	0	100	0000FFFF	0	0	0
eth2	0000010A	FE00000A	0003	0	0	200	0000FFFF	0	0	0
*	0000020A	00000000	0200	0	0	0	0000FFFF	0	0	0
`;
const ROUTES6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth1
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`;

test('routes of the kernel are read', () => {
  const shown = [...readRoutes4(ROUTES4), ...readRoutes6(ROUTES6)].map(
    ({ to: { bytes, bits }, link, gateway }) =>
      `${Buffer.from(bytes).toString('hex')}/${bits} ${link}${gateway ? ' gateway' : ''}`,
  );
  expect(shown).toEqual([
    '00000000/0 eth0 gateway',
    'c0000200/24 eth0',
    '0a000000/8 eth1',
    '0a010000/16 eth1 gateway',
    '0a010000/16 eth2 gateway',
    'fd000000000000000000000000000000/64 eth0',
    '00000000000000000000000000000000/0 eth1 gateway',
    '00000000000000000000000000000001/128 lo',
  ]);
});

describe('a link to blame', () => {
  const links = (running: readonly string[]): Links => ({
    routes: [...readRoutes4(ROUTES4), ...readRoutes6(ROUTES6)],
    own: new Set(['127.0.0.1', '192.0.2.7', 'fd00::7']),
    runs: (name) => name === 'lo' || running.includes(name),
    anyRuns: running.length > 0,
  });
  test.each([
    ['all run', '198.51.100.1', ['eth0', 'eth1', 'eth2'], undefined],
    ['the default route is dead', '198.51.100.1', ['eth1'], 'eth0'],
    ['a host name goes by the default routes', 'www.example.com', ['eth2'], 'eth0'],
    ['one default route of two runs', 'www.example.com', ['eth1'], undefined],
    ['on the link itself, while another runs', '192.0.2.9', ['eth1'], undefined],
    ['on the link itself, and none runs', '192.0.2.9', [], 'eth0'],
    ['the longest prefix counts', '10.9.9.9', ['eth0'], undefined],
    ['one of two equal routes runs', '10.1.1.1', ['eth2'], undefined],
    ['none of two equal routes runs', '10.1.1.1', ['eth0'], 'eth1'],
    ['IPv6 through a gateway', '2001:db8::1', ['eth0'], 'eth1'],
    ['IPv6 on the link', 'fd00::9', ['eth1'], undefined],
    ['loopback', '127.5.5.5', [], undefined],
    ['loopback by name', 'localhost', [], undefined],
    ['an address of this machine', '192.0.2.7', [], undefined],
    ['IPv6 loopback', '::1', [], undefined],
  ])('%s: %s', (_, host, running, dead) => {
    expect(deadLinkTo(host, links(running))).toBe(dead);
  });

  test('no route at all: connect(2) says so itself', () => {
    expect(deadLinkTo('198.51.100.1', { ...links([]), routes: [] })).toBeUndefined();
  });

  test('this machine is looked at again after half a second, and not for each failure', async () => {
    const clock = createManualClock();
    let looked = 0;
    let running: readonly string[] = ['eth0'];
    const deadLink = createLinkWatch(clock, () => {
      looked += 1;
      return links(running);
    });
    expect([deadLink('198.51.100.1'), deadLink('198.51.100.2')]).toEqual([undefined, undefined]);
    running = [];
    await clock.advance(499);
    expect([deadLink('198.51.100.1'), looked]).toEqual([undefined, 1]);
    await clock.advance(1);
    expect([deadLink('198.51.100.1'), looked]).toEqual(['eth0', 2]);
  });

  test('what this machine says can be read', () => {
    expect(createLinkWatch(createManualClock())('127.0.0.1')).toBeUndefined();
  });
});

test.skipIf(process.platform !== 'linux')('the files of the kernel tell what networkInterfaces tells', () => {
  const { own, runs, anyRuns } = readInterfaces();
  const interfaces = Object.entries(networkInterfaces());
  const addresses = interfaces.flatMap(([, list = []]) => list);
  // Addresses of interfaces that are down belong to this machine too.
  expect([...own]).toEqual(expect.arrayContaining(addresses.map(({ address }) => address)));
  expect(interfaces.filter(([name]) => !runs(name))).toEqual([]);
  expect(anyRuns).toBe(addresses.some(({ internal }) => !internal));
});
