// The service worker (public/sw.js), where the browser has one: for an honest page without a server, and for what a
// click on a notification opens. The dashboard does all else without it.
import { router } from './router';

export function startWorker(): void {
  // Plain http, private windows and the development server have none.
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  navigator.serviceWorker.addEventListener('message', ({ data }) => {
    if (typeof data?.go === 'string') router.go(data.go);
  });
  window.addEventListener('load', () => navigator.serviceWorker.register('/sw.js').catch(() => {}));
}
