/**
 * The module with which threads answer. They load it by its URL: it is a file beside this one, also after a build.
 */
export const ANSWERER_MODULE = new URL(
  import.meta.url.endsWith('.ts') ? './answerer.ts' : './answerer.js',
  import.meta.url,
);
