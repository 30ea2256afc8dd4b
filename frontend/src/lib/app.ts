// The dashboard's one object graph: states, the client, the socket. Nothing here talks to the server before `start`.
import { api } from './api/client';
import { asProblem, ProblemError } from './api/errors';
import type { Role } from './api/types';
import { onIdle } from './idle';
import { Socket, socketUrl } from './live/socket';
import { router } from './router';
import { ActivityState } from './state/activity.svelte';
import { ApprovalsState } from './state/approvals.svelte';
import { BoardPlace } from './state/board-place.svelte';
import { clock } from './state/clock';
import { ConnectionState } from './state/connection.svelte';
import { DesktopsState } from './state/desktops.svelte';
import { Feed } from './state/feed';
import { Notifications } from './state/notifications.svelte';
import { Prefs } from './state/prefs.svelte';
import { Session } from './state/session.svelte';
import { SettingsState } from './state/settings.svelte';
import { ShownTasks } from './state/shown';
import { TasksState } from './state/tasks.svelte';
import { Toasts } from './state/toasts.svelte';
import { titleOf } from './titles';

/** Before a socket that was refused is tried again by somebody who is still signed in. */
const ASK_AGAIN_MS = 5_000;
/** How long the board is not read while a task that somebody opened is being drawn. */
const TASK_FIRST_MS_MAX = 500;

class App {
  readonly api = api;
  readonly socket = new Socket(socketUrl(window.location));
  readonly session = new Session(api);
  readonly connection = new ConnectionState(this.socket);
  readonly prefs = new Prefs();
  readonly notifications = new Notifications(this.prefs);
  readonly toasts = new Toasts();
  readonly tasks = new TasksState(api);
  readonly desktops = new DesktopsState(api);
  readonly approvals = new ApprovalsState(api);
  readonly activity = new ActivityState(api);
  readonly settings = new SettingsState(api);
  readonly boardPlace = new BoardPlace();
  #feed = new Feed(this, this.socket);
  readonly shown = new ShownTasks((taskIds) => this.#feed.show(taskIds));

  constructor() {
    api.onUnauthorized = () => this.leave();
    this.connection.onSignedOut = () => this.#askAgain();
    api.onDate = (date, sentAt, answeredAt) => clock.hear(date, sentAt, answeredAt);
  }

  /** Whether this person's role includes another. */
  can(role: Role): boolean {
    return this.session.can(role);
  }

  /** Why an action that needs a role cannot be done now, in words, or null when it can. */
  whyNot(role: Role): string | null {
    if (!this.can(role)) {
      return `Your key may only ${this.can('operator') ? 'run tasks' : 'look'}; this needs the role ${role}. Ask an admin.`;
    }
    if (!this.connection.isUsable) return 'The connection to the server is lost.';
    return null;
  }

  /** Does something that may fail and shows the problem as a toast; gives null then. */
  async attempt<T>(action: () => Promise<T>): Promise<T | null> {
    try {
      return await action();
    } catch (error) {
      this.toasts.error(asProblem(error));
      return null;
    }
  }

  /** After signing in: reads everything and follows it. Throws when the server refuses. */
  async enter(): Promise<void> {
    this.notifications.names = {
      me: this.session.me?.id ?? '',
      task: (id) => {
        const task = this.tasks.get(id);
        return task ? { title: titleOf(task), createdBy: task.createdBy.id } : null;
      },
      desktop: (id) => this.desktops.nameOf(id),
    };
    this.activity.filter = this.prefs.activityFilter;
    this.socket.start(); // what a task's page follows need not wait for the board
    if (router.route.name === 'task') {
      await new Promise<void>((resolve) => onIdle(resolve, TASK_FIRST_MS_MAX));
      if (!this.session.me) return; // signed out meanwhile
    }
    try {
      await this.#feed.start();
    } catch (error) {
      if (asProblem(error).code !== 'unreachable') throw error;
      this.#feed.startLater(); // that the connection is lost is said, and tried again, like later on
    }
  }

  /** The socket was told that nobody is signed in: the session ended elsewhere, or was only closed to this socket. */
  async #askAgain(): Promise<void> {
    try {
      if (await this.session.load()) setTimeout(() => this.socket.tryNow(), ASK_AGAIN_MS);
    } catch {
      setTimeout(() => this.socket.tryNow(), ASK_AGAIN_MS);
    }
  }

  /** The session is over: nothing is followed any more. */
  leave(): void {
    this.#feed.stop();
    this.socket.stop();
    this.tasks.clear();
    this.boardPlace.clear();
    this.session.forget();
  }

  async signOut(): Promise<void> {
    await this.session.signOut().catch((error) => {
      // A session that the server has already forgotten is as good as signed out.
      if (!(error instanceof ProblemError) || error.problem.status !== 401) throw error;
    });
    this.leave();
  }
}

export const app = new App();
export type { App };
