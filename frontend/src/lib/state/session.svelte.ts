// Who is signed in, and what they may do.
import type { Client } from '../api/client';
import { ProblemError } from '../api/errors';
import type { Me, Role } from '../api/types';

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

export class Session {
  #me = $state.raw<Me | null>(null);
  #isKnown = $state(false);
  #api: Client;

  constructor(api: Client) {
    this.#api = api;
  }

  get me(): Me | null {
    return this.#me;
  }

  /** Whether the server has said who this is, or that it is nobody. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  can(role: Role): boolean {
    return this.#me !== null && RANK[this.#me.role] >= RANK[role];
  }

  /** Asks who this is. Throws when the server does not answer; nobody being signed in is an answer. */
  async load(): Promise<Me | null> {
    try {
      this.#me = (await this.#api.get<Me>('/api/auth/me')).data;
    } catch (error) {
      if (!(error instanceof ProblemError) || error.problem.status !== 401) throw error;
      this.#me = null;
    }
    this.#isKnown = true;
    return this.#me;
  }

  async signIn(proof: { key: string } | { link: string }): Promise<Me> {
    this.#me = (await this.#api.post<Me>('/api/auth/session', proof)).data;
    this.#isKnown = true;
    return this.#me;
  }

  async signOut(): Promise<void> {
    await this.#api.delete('/api/auth/session');
    this.forget();
  }

  /** The server no longer knows this session. */
  forget(): void {
    this.#me = null;
    this.#isKnown = true;
  }
}
