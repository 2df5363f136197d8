import type { KeyRecord, LoginRecord, UserRecord } from '../domain/accounts.ts'

/** Where users are kept. Every method may throw HubError `storage.unavailable`. */
export interface UserStore {
  list(): Promise<readonly UserRecord[]>
  find(username: string): Promise<UserRecord | undefined>
  /** @throws HubError `user.exists` */
  create(user: UserRecord): Promise<void>
  /**
   * Whether there was such a user.
   * @throws HubError `user.last-admin` when nobody would be left who is an active admin
   */
  update(username: string, changes: Partial<Omit<UserRecord, 'username' | 'createdAt'>>): Promise<boolean>
  /** Whether there was such a user. Ends the user's logins and keys too. @throws HubError `user.last-admin` */
  remove(username: string): Promise<boolean>
}

/** Where keys are kept. Every method may throw HubError `storage.unavailable`. */
export interface KeyStore {
  list(): Promise<readonly KeyRecord[]>
  create(key: KeyRecord): Promise<void>
  update(id: string, changes: Partial<Omit<KeyRecord, 'id' | 'tokenHash' | 'createdAt'>>): Promise<boolean>
  remove(id: string): Promise<boolean>
  /** Notes when keys were last used, by id; never makes a time earlier. */
  touch(lastUsed: ReadonlyMap<string, number>): Promise<void>
}

/** Where logins are kept. Every method may throw HubError `storage.unavailable`. */
export interface LoginStore {
  create(login: LoginRecord): Promise<void>
  find(tokenHash: string): Promise<LoginRecord | undefined>
  touch(tokenHash: string, at: number): Promise<void>
  remove(tokenHash: string): Promise<boolean>
  /** Ends all logins of a user, except the one that is named. */
  removeOf(username: string, except?: string): Promise<void>
  removeExpired(now: number): Promise<number>
}
