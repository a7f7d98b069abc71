/**
 * The module that answers queries in a thread. Threads import it by URL, so its file is beside this one in a build too.
 */
export const ANSWERER_MODULE = new URL(
  import.meta.url.endsWith('.ts') ? './answerer.ts' : './answerer.js',
  import.meta.url,
);
