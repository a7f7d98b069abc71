/**
 * The site: the pages of docs/ as they are, the front page from README.md of docs/. Links to files that are not pages
 * lead to the repository that PHAROS_REPOSITORY names, or nowhere. VitePress fails on a link that leads nowhere.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { posix } from 'node:path';
import { defineConfig } from 'vitepress';

const DOCS = fileURLToPath(new URL('../..', import.meta.url));
/** Where files of the repository are shown, such as https://git.example.com/pharos/src/main. */
const REPOSITORY = (process.env['PHAROS_REPOSITORY'] ?? '').replace(/\/$/, '');

/** The lists of docs/README.md are the menu. */
function menu(): { text: string; items: { text: string; link: string }[] }[] {
  const [, ...parts] = readFileSync(`${DOCS}README.md`, 'utf8').split(/^## /m);
  return parts.map((part) => ({
    text: part.split('\n', 1)[0] ?? '',
    items: [...part.matchAll(/^- (.*?): (.*)$/gm)].flatMap(([, links = '', about = '']) =>
      [...links.matchAll(/\[([^\]]+)\]\((?!\.\.)([^)]+)\.md\)/g)].map(([, , page = '']) => ({
        text: links.includes('), [') ? page : about.charAt(0).toUpperCase() + about.slice(1),
        link: `/${page}`,
      })),
    ),
  }));
}

export default defineConfig({
  title: 'Pharos',
  description: 'Authoritative DNS server that steers clients to the right region',
  // Copies of the pages: package.json makes them, beside the packages that they need.
  srcDir: './pages',
  outDir: './dist',
  cacheDir: './.vitepress/cache',
  rewrites: { 'README.md': 'index.md', 'decisions/README.md': 'decisions/index.md' },
  cleanUrls: true,
  // Addresses of examples are not pages.
  ignoreDeadLinks: [/^https?:\/\/(?:localhost|127\.0\.0\.1)/],
  themeConfig: {
    sidebar: menu(),
    search: { provider: 'local' },
    outline: [2, 3],
  },
  markdown: {
    config(markdown) {
      // Placeholders such as <url> and {{ }} are text, not HTML or a template.
      markdown.set({ html: false });
      const code = markdown.renderer.rules['code_inline'];
      markdown.renderer.rules['code_inline'] = (tokens, index, options, env, self) => {
        tokens[index]?.attrSet('v-pre', '');
        return code ? code(tokens, index, options, env, self) : self.renderToken(tokens, index, options);
      };
      const plain = markdown.renderer.rules['link_open'];
      markdown.renderer.rules['link_open'] = (tokens, index, options, env: { relativePath?: string }, self) => {
        const token = tokens[index];
        const href = token?.attrGet('href') ?? '';
        const path = posix.join('docs', posix.dirname(env.relativePath ?? ''), href.replace(/[#?].*$/, ''));
        const isFile = !/^(?:[a-z]+:|#|\/)/i.test(href) && (!path.startsWith('docs/') || !/\.(?:md|html)$/.test(path));
        if (token && isFile) {
          if (REPOSITORY === '') token.attrs = token.attrs?.filter(([name]) => name !== 'href') ?? null;
          else token.attrSet('href', `${REPOSITORY}/${path}`);
          return self.renderToken(tokens, index, options);
        }
        return plain ? plain(tokens, index, options, env, self) : self.renderToken(tokens, index, options);
      };
    },
  },
});
