/**
 * Queries as a resolver sends them: EDNS with 1232 octets, and a client subnet if the case has one. Written without the
 * server's own code, which is under test.
 */
import { writeFileSync } from 'node:fs';

const TYPES = { A: 1, SOA: 6 } as const;

/**
 * One query; `dnssecOk` sets DO. `subnet` is the first three octets of an IPv4 /24 (RFC 7871 6). The identifier is 0.
 */
export function encodeQuery(
  name: string,
  type: keyof typeof TYPES,
  subnet?: readonly [number, number, number],
  dnssecOk = false,
): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const option = subnet ? [0, 8, 0, 7, 0, 1, 24, 0, ...subnet] : [];
  return Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]),
    ...labels,
    Buffer.from([0, 0, TYPES[type], 0, 1]),
    Buffer.from([0, 0, 41, 1232 >> 8, 1232 & 0xff, 0, 0, dnssecOk ? 0x80 : 0, 0, 0, option.length, ...option]),
  ]);
}

/** The format that `dnsperf -B` reads: a TCP stream with two octets of length before each message (RFC 1035 4.2.2). */
export function writePackets(path: string, packets: readonly Buffer[]): void {
  writeFileSync(
    path,
    Buffer.concat(packets.flatMap((packet) => [Buffer.from([packet.length >> 8, packet.length & 0xff]), packet])),
  );
}

/** Numbers from 0 to `bound` - 1, the same in every run (Lehmer, MINSTD). */
export function repeatable(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * bound);
  };
}
