/** One thing done to many rows: the shapes of `dm_act` and `post_act`. */
import Type, { type Static, type TObject } from 'typebox';
import { Count, GivenInstant, givenInstant, Id, Nullable } from '../shapes/index.ts';

/** Rows that one action may be done to. */
export const ACTION_ROWS_MAX = 10_000;

/** What an action is done to: these rows, or whatever matches a filter of their list. */
const selectionBy = <Filter extends TObject>(filter: Filter) =>
  Type.Union([
    Type.Object(
      { ids: Type.Array(Id, { minItems: 1, maxItems: ACTION_ROWS_MAX }) },
      { additionalProperties: false },
    ),
    Type.Object({ filter }, { additionalProperties: false }),
  ]);

const SettleDecision = Type.Enum(['sent', 'resend', 'drop'], {
  type: 'string',
  description:
    'Of what is unknown: `sent`, somebody saw it on LinkedIn; `resend`, it is not there and goes out again; `drop`, it is given up, and still counts.',
});

const LookedAt = givenInstant(
  'Of `resend`: when somebody looked, ISO 8601 with a zone; now by default. A look from before the call was over is refused.',
);

const Reason = Type.String({ minLength: 1, maxLength: 500 });

/** What an action may be told; each one takes only what is its own. */
const args = {
  reason: Type.Optional(Reason),
  decision: Type.Optional(SettleDecision),
  looked_at: Type.Optional(LookedAt),
};

const actionBy = <Name extends string, Filter extends TObject, Args extends TObject>(
  names: readonly Name[],
  filter: Filter,
  argsOf: Args,
) =>
  Type.Object(
    {
      action: Type.Enum([...names], { type: 'string' }),
      selection: selectionBy(filter),
      args: Type.Optional(argsOf),
      dry_run: Type.Optional(
        Type.Boolean({ default: false, description: 'Says what would change, and changes nothing.' }),
      ),
      expected_count: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: ACTION_ROWS_MAX,
          description:
            'How many rows the dry run matched. A filter needs it: if another number matches by now, nothing is done.',
        }),
      ),
    },
    { additionalProperties: false },
  );

export const messageActionBy = <Filter extends TObject>(filter: Filter) =>
  actionBy(
    ['cancel', 'retry', 'reschedule', 'settle'],
    filter,
    Type.Object({ ...args, send_at: Type.Optional(GivenInstant) }, { additionalProperties: false }),
  );

export const postActionBy = <Filter extends TObject>(filter: Filter) =>
  actionBy(
    ['cancel', 'retry', 'reschedule', 'publish_now', 'settle'],
    filter,
    Type.Object({ ...args, scheduled_for: Type.Optional(GivenInstant) }, { additionalProperties: false }),
  );

/** What an action came to, or would come to. */
export const ActionResult = Type.Object(
  {
    action: Type.String(),
    dry_run: Type.Boolean(),
    matched: Count,
    changed: Type.Integer({ minimum: 0, description: 'In a dry run: how many would change.' }),
    refused: Type.Array(Type.Object({ id: Id, status: Nullable(Type.String()), problem: Type.String() }), {
      maxItems: 100,
      description: 'The first 100 that it cannot be done to.',
    }),
    sample: Type.Array(Id, { maxItems: 20, description: 'The first 20 that change.' }),
  },
  { $id: 'ActionResult' },
);
export type ActionResult = Static<typeof ActionResult>;
