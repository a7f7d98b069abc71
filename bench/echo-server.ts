/**
 * `node bench/echo-server.ts PORT`: the server's sockets and threads around bench/echo-answerer.ts.
 */
import { startServer } from '../server/threads/supervisor.ts';

const server = await startServer({
  listen: [{ host: '127.0.0.1', port: Number(process.argv[2]) }],
  workers: 1,
  answererModule: new URL('echo-answerer.ts', import.meta.url),
  publication: { generation: 1, payload: undefined },
  tcpClients: 16,
  log: { info: () => undefined, warn: console.error, error: console.error },
});
process.once('SIGTERM', () => void server.stop());
