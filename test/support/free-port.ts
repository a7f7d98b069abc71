/**
 * Ports for programs that cannot take port 0 and tell which one they got.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that Linux gives to clients and to listeners on port 0 (ip_local_port_range, from 32768 by default):
 * one of those may be gone again before the program listens on it.
 */
const [FIRST, COUNT] = [10_240, 22_528];

/** Where to look next. Tests in other processes begin elsewhere. */
let next = Math.floor(Math.random() * COUNT);

/**
 * A port of 127.0.0.1 that is free for both TCP and UDP. This process gets another one each time, and on Linux no other
 * process of tests gets it before this one ends.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + (next++ % COUNT);
    if ((await isFree(port)) && (await claim(`port-${port}`))) return port;
  }
  throw new Error('no port of 127.0.0.1 is free for both TCP and UDP');
}

/** Takes a name that only one process of tests on this machine can have, and that the system releases when it ends. */
export async function claim(name: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const holder = createServer().unref();
  holder.listen(`\0pharos-test-${name}`);
  return once(holder, 'listening').then(
    () => true,
    () => false,
  );
}

async function isFree(port: number): Promise<boolean> {
  const tcp = createServer();
  const udp = createSocket('udp4');
  try {
    tcp.listen(port, '127.0.0.1');
    await once(tcp, 'listening');
    udp.bind(port, '127.0.0.1');
    await once(udp, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    udp.close();
    await new Promise((closed) => tcp.close(closed));
  }
}
