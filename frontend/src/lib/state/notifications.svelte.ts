// The browser's notifications: asked for only after a click in the settings, shown only while nobody looks at the page.
import type { LogEvent } from '../api/types';
import { type Notice, type NoticeNames, noticesOf } from './notices';
import type { Prefs } from './prefs.svelte';

export type Permission = 'granted' | 'denied' | 'default' | 'insecure' | 'missing';

function permission(): Permission {
  if (!window.isSecureContext) return 'insecure';
  return 'Notification' in window ? Notification.permission : 'missing';
}

export class Notifications {
  /** Who is who; set when somebody is signed in. */
  names: NoticeNames | null = null;
  #permission = $state<Permission>(permission());
  #prefs: Prefs;

  constructor(prefs: Prefs) {
    this.#prefs = prefs;
    // A glance at the page answers them.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#closeAll();
    });
  }

  /** What the browser allows; why it allows nothing. */
  get permission(): Permission {
    return this.#permission;
  }

  get isOn(): boolean {
    return this.#permission === 'granted' && this.#prefs.areNotificationsOn;
  }

  /** Called by a click of the person, as browsers demand. */
  async set(on: boolean): Promise<void> {
    if (on && permission() === 'default') await Notification.requestPermission();
    this.#permission = permission();
    this.#prefs.areNotificationsOn = on && this.#permission === 'granted';
  }

  apply(events: readonly LogEvent[]): void {
    if (!this.isOn || !this.names || document.visibilityState === 'visible') return;
    for (const notice of noticesOf(events, this.names)) this.#show(notice);
  }

  async #show({ tag, title, body, path }: Notice): Promise<void> {
    const options = { tag, body, icon: '/icon-192.png', data: { path } };
    try {
      const registration = await worker();
      // Phones show only those of a service worker, which also knows what a click opens.
      if (registration) await registration.showNotification(title, options);
      else new Notification(title, options).onclick = () => window.focus();
    } catch {
      // Refused after all: the count in the title still says it.
    }
  }

  async #closeAll(): Promise<void> {
    for (const shown of (await (await worker())?.getNotifications()) ?? []) shown.close();
  }
}

async function worker(): Promise<ServiceWorkerRegistration | undefined> {
  try {
    return await navigator.serviceWorker?.getRegistration();
  } catch {
    return undefined;
  }
}
