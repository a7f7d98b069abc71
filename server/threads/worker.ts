/**
 * The entry of every answering thread. It must not import modules that are useless for answering: pino, yaml, node:fs.
 */
import { workerData } from 'node:worker_threads';
import { serveStreams } from '../io/stream.ts';
import { serveUdpBatches } from '../io/udp-batch.ts';
import { serveUdpDgram } from '../io/udp-dgram.ts';
import { ListenError } from '../listen-error.ts';
import { controlPort, createLink, listenToControl, loadAnswerer, type FirstLink, type ThreadStart } from './thread.ts';

const start = workerData as ThreadStart;
const port = controlPort();
// Imported only when needed: OpenSSL takes time to load, and some builds of Node.js lack it.
const security = speaksTls(start) ? (await import('../io/stream-tls.ts')).createSecurity() : undefined;
const link = createLink(start, await loadAnswerer(start.answererModule), port, security?.take);
if (link) await serve(link);

function speaksTls({ work }: ThreadStart): boolean {
  return work.kind === 'stream' && work.tlsEndpoints.length > 0;
}

async function serve(link: FirstLink): Promise<void> {
  const { work } = start;
  const sequence = link.firstSequence;
  if (work.kind === 'udp-batch') {
    link.send({ kind: 'ready', sequence, endpoints: [], descriptors: [] });
    serveUdpBatches(work.sockets, link);
    return;
  }
  try {
    const server =
      work.kind === 'udp-dgram'
        ? await serveUdpDgram(work.endpoints, work.reusePort, link)
        : await serveStreams(work.endpoints, work, link, {
            tls: security && { endpoints: work.tlsEndpoints, security },
            inherited: work.inherited,
          });
    listenToControl(link, port, () => {
      void server.close().then(() => {
        port.close();
      });
    });
    link.send({ kind: 'ready', sequence, endpoints: server.endpoints, descriptors: server.descriptors });
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    link.send({ kind: 'cannot-listen', failure: error.failure });
  }
}
