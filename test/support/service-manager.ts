/**
 * A service manager for tests: receives the messages of sd_notify(3) and prints each as JSON. In Python, because
 * Node.js lacks unix datagram sockets.
 */
import { has, start, type Running } from './process.ts';

export const hasManager = has('python3') && process.platform === 'linux';

const MANAGER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0', 1) if sys.argv[1][0] == '@' else sys.argv[1])
print('bound', flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;

/** @param socket an absolute path, or an abstract name after `@` */
export async function startManager(socket: string): Promise<Running> {
  const manager = start(['-c', MANAGER, socket], { command: 'python3' });
  await manager.until(/bound/);
  return manager;
}
