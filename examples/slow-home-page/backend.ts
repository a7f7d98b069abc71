/**
 * A web server under load: its home page takes two seconds, and `/health` answers at once. Usage: node backend.ts PORT
 */
import { createServer } from 'node:http';

const [port = '8081'] = process.argv.slice(2);
createServer((request, response) => {
  if (request.url === '/health') response.end('ok');
  else setTimeout(() => response.end('welcome'), 2000);
}).listen(Number(port), '127.0.0.1');
