/**
 * `node test/support/failover-target.ts ADDRESS PORT`: an HTTP server for bench/failover.ts. Responds with the last
 * status from its standard input, 200 at first; prints `ready` when it listens and `now STATUS` when it has changed.
 */
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

let status = 200;
const [address = '127.0.0.1', port = '0'] = process.argv.slice(2);
// Longer than any probe waits: this server closes no idle connection.
createServer({ keepAliveTimeout: 3_600_000 }, (_, response) => response.writeHead(status).end()).listen(
  Number(port),
  address,
  () => {
    console.log('ready');
  },
);
createInterface(process.stdin).on('line', (line) => {
  status = Number(line);
  console.log(`now ${status}`);
});
process.stdin.on('end', () => process.exit());
