/**
 * Rows put straight into the tables, past triggers and functions: a history as the database might
 * hold it.
 */
import type { Session } from './database.ts';

type Row = Readonly<Record<string, unknown>>;

/** Inserts rows that all have the columns of the first one. */
export async function insertRows(session: Session, table: string, rows: readonly Row[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const columns = Object.keys(first).join(', ');
  await session.asOwner(`set session_replication_role = replica`, []);
  try {
    await session.asOwner(
      `insert into public.${table} (${columns})
       select ${columns} from jsonb_populate_recordset(null::public.${table}, $1::jsonb)`,
      [JSON.stringify(rows)],
    );
  } finally {
    await session.asOwner(`reset session_replication_role`, []);
  }
}

/** A message as it is by now. */
export interface RawMessage {
  readonly id: string;
  readonly linkedin_account_id: string;
  readonly campaign_id: string | null;
  readonly status: 'pending' | 'sending' | 'sent' | 'failed' | 'unknown' | 'cancelled';
  readonly reason: string | null;
  readonly send_at: string;
  readonly created_at: string;
}

export interface RawAttempt {
  readonly id: string;
  readonly account_id: string;
  readonly started_at: string;
  /** Null while in flight. */
  readonly outcome: 'sent' | 'not_sent' | 'unknown' | null;
  readonly effect_by: string;
}
export type RawDmAttempt = RawAttempt & { readonly message_id: string };
export type RawPostAttempt = RawAttempt & { readonly post_id: string };

export interface RawPost {
  readonly id: string;
  readonly linkedin_account_id: string | null;
  readonly campaign_id: string | null;
  readonly status: 'draft' | 'scheduled' | 'published' | 'failed';
  readonly scheduled_for: string | null;
}

export interface RawPublication {
  readonly post_id: string;
  readonly state: 'waiting' | 'publishing' | 'published' | 'unknown' | 'failed' | 'missed' | 'held';
  readonly missed_for: string | null;
  readonly created_at: string;
}

const NOBODY = '00000000-0000-4000-8000-00000000c1a1';

export const insertMessages = (session: Session, rows: readonly RawMessage[]): Promise<void> =>
  insertRows(
    session,
    'dm_queue',
    rows.map((row) => ({
      ...row,
      recipient_id: 'ACoAA1',
      message: 'Hello',
      priority: 0,
      attempts: 0,
      updated_at: row.created_at,
    })),
  );

const attemptColumns = ({ started_at, outcome, effect_by }: RawAttempt): Row => ({
  claim_id: NOBODY,
  worker: 'worker-0',
  lease_until: effect_by,
  finished_at: outcome === null ? null : started_at,
});

export const insertDmAttempts = (session: Session, rows: readonly RawDmAttempt[]): Promise<void> =>
  insertRows(
    session,
    'dm_attempts',
    rows.map((row) => ({
      ...row,
      ...attemptColumns(row),
      recipient_id: 'ACoAA1',
      strike: false,
      read_backs: 0,
    })),
  );

export const insertPosts = (session: Session, rows: readonly RawPost[]): Promise<void> =>
  insertRows(
    session,
    'posts',
    rows.map((row) => ({ ...row, content: 'Hello' })),
  );

export const insertPostAttempts = (session: Session, rows: readonly RawPostAttempt[]): Promise<void> =>
  insertRows(
    session,
    'post_attempts',
    rows.map((row) => ({ ...row, ...attemptColumns(row), text: 'Hello', mentions: [], read_backs: 0 })),
  );

export const insertPublications = (session: Session, rows: readonly RawPublication[]): Promise<void> =>
  insertRows(
    session,
    'post_publications',
    rows.map((row) => ({ ...row, attempts: 0, media: [], mentions: [], updated_at: row.created_at })),
  );
