// The service worker (public/sw.js), where the browser has one: for an honest page without a server, and for what a
// click on a notification opens. The dashboard does all else without it.
import { router } from './router';

export function startWorker(): void {
  const workers = import.meta.env.PROD ? container() : undefined; // the development server has none
  if (!workers) return;
  workers.addEventListener('message', ({ data }) => {
    if (typeof data?.go === 'string') router.go(data.go);
  });
  window.addEventListener('load', () => workers.register('/sw.js').catch(() => {}));
}

/** Plain http and private windows have none; a sandboxed frame throws where one asks for it. */
function container(): ServiceWorkerContainer | undefined {
  try {
    return navigator.serviceWorker;
  } catch {
    return undefined;
  }
}
