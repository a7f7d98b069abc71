/**
 * A start that could not create a thread ended with "pharos: EAGAIN". Found by making each call of pthread_create fail
 * (test/faults).
 */
import { expect, test } from 'vitest';
import { createFaultLibrary } from '../../faults/faults-library.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { has, start } from '../../support/process.ts';

/** Threads that Node.js creates first: it ends without them. */
const OWN_THREADS = 6;
const TRIES = 12;

test.skipIf(!has('cc'))('a start without room for a thread says so', async () => {
  using library = createFaultLibrary();
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: off\ngeo: { databases: [small.mmdb] }\n',
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n',
  });
  const said: string[] = [];
  for (let before = OWN_THREADS; before < OWN_THREADS + TRIES && said.length === 0; before++) {
    library.arm({ call: 'thread', error: 'EAGAIN', kinds: 15, before });
    await using server = start(['serve'], { cwd: folder.path, env: library.env });
    const ended = await Promise.race([server.until(/"msg":"serving"/).catch(() => undefined), server.finished]);
    // null: Node.js itself has ended.
    if (ended !== undefined && 'code' in ended && ended.code === 1) said.push(ended.stderr);
  }
  expect(said).toEqual([expect.stringMatching(/^pharos: cannot start a thread: EAGAIN\n {2}.*ulimit -u/)]);
});
