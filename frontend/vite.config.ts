// How the dashboard is built: a plain single-page app, written into the Python package that serves it.
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import type { IndexHtmlTransformContext, Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { icons } from './icons.ts';

const SERVER = process.env.MISSION_CONTROL_URL ?? 'http://127.0.0.1:8765';

/**
 * Puts `src/early.js` before everything else, as a classic script with a hashed name: the theme must be known before the
 * first paint, and the page's policy allows no inline script. It is told which files a task's page is made of.
 */
function earlyScript(): Plugin {
  const source = () => readFileSync(new URL('./src/early.js', import.meta.url), 'utf8');
  let serving = false;
  return {
    name: 'early-script',
    configResolved(config) {
      serving = config.command === 'serve';
    },
    buildStart() {
      if (!serving) this.emitFile({ type: 'asset', name: 'early.js', source: source() });
    },
    transformIndexHtml: {
      order: 'post',
      handler(_html, { bundle = {}, chunk: entry }) {
        const files = Object.values(bundle);
        const built = files.find((file) => file.type === 'asset' && file.names.includes('early.js'));
        if (!built) return [{ tag: 'script', attrs: { src: '/src/early.js' }, injectTo: 'head-prepend' }];
        const page = files.find((file) => file.type === 'chunk' && file.name === 'TaskPage');
        const known = filesOf(bundle, entry?.fileName);
        const task = [...filesOf(bundle, page?.fileName)].filter((file) => !known.has(file)).map((file) => `/${file}`);
        const attrs = { src: `/${built.fileName}`, 'data-task': task.join(' ') };
        return [{ tag: 'script', attrs, injectTo: 'head-prepend' }];
      },
    },
  };
}

type Bundle = NonNullable<IndexHtmlTransformContext['bundle']>;

/** A chunk, and all that it needs before it runs. */
function filesOf(bundle: Bundle, fileName: string | undefined, found = new Set<string>()): Set<string> {
  const chunk = bundle[fileName ?? ''];
  if (chunk?.type !== 'chunk' || found.has(chunk.fileName)) return found;
  found.add(chunk.fileName);
  for (const style of chunk.viteMetadata?.importedCss ?? []) found.add(style);
  for (const imported of chunk.imports) filesOf(bundle, imported, found);
  return found;
}

export default defineConfig({
  plugins: [earlyScript(), icons(), tailwindcss(), svelte()],
  resolve: { alias: { $lib: new URL('./src/lib', import.meta.url).pathname } },
  build: {
    outDir: '../server/mission_control/dashboard',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { '/api': { target: SERVER, ws: true } },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
  },
});
