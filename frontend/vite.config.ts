// How the dashboard is built: a plain single-page app, written into the Python package that serves it.
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { icons } from './icons.ts';

const SERVER = process.env.MISSION_CONTROL_URL ?? 'http://127.0.0.1:8765';

/**
 * Puts `src/theme.js` before everything else, as a classic script with a hashed name: the theme must be known
 * before the first paint, and the page's policy allows no inline script.
 */
function themeBeforeFirstPaint(): Plugin {
  const source = () => readFileSync(new URL('./src/theme.js', import.meta.url), 'utf8');
  let serving = false;
  return {
    name: 'theme-before-first-paint',
    configResolved(config) {
      serving = config.command === 'serve';
    },
    buildStart() {
      if (!serving) this.emitFile({ type: 'asset', name: 'theme.js', source: source() });
    },
    transformIndexHtml: {
      order: 'post',
      handler(_html, { bundle }) {
        const built = Object.values(bundle ?? {}).find(
          (file) => file.type === 'asset' && file.names.includes('theme.js'),
        );
        const src = built ? `/${built.fileName}` : '/src/theme.js';
        return [{ tag: 'script', attrs: { src }, injectTo: 'head-prepend' }];
      },
    },
  };
}

export default defineConfig({
  plugins: [themeBeforeFirstPaint(), icons(), tailwindcss(), svelte()],
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
