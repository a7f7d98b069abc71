/**
 * The HTTP requests of the benchmarks to a running server.
 */
import { request } from 'node:http';

/** `POST /api/v1/reload`; resolves when the new generation is served. Throws if it is rejected. */
export async function reloadServer(port: number, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const status = await new Promise<number | undefined>((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/api/v1/reload', method: 'POST', headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .once('error', reject)
      .end();
  });
  if (status !== 200) throw new Error(`POST /api/v1/reload gave ${status}`);
}
