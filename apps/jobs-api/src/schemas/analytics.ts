/** What the routes about analytics take and answer. */
import { DailyFilter, DailyRow, Platform, Summary, SummaryGroup } from '@revos/core/analytics';
import { GivenDay, Page } from '@revos/core/shapes';
import Type from 'typebox';
import { listQuery } from './lists.ts';

const ComputedAt = Type.String({
  format: 'date-time',
  description: 'When this answer was computed. It is kept for some minutes.',
});

export const DailyQuery = listQuery(DailyFilter.properties);

export const DailyList = Page(DailyRow);

export const SummaryQuery = Type.Object(
  { from: GivenDay, to: GivenDay, group_by: Type.Optional(SummaryGroup) },
  { additionalProperties: false },
);

export const SummaryAnswer = Type.Object(
  { as_of: ComputedAt, ...Summary.properties },
  { $id: 'SummaryAnswer' },
);

/** Days on the platform's page unless its reader says otherwise. */
export const PLATFORM_DAYS_DEFAULT = 30;

export const PlatformQuery = Type.Object(
  { days: Type.Optional(Type.Integer({ minimum: 1, maximum: 400, default: PLATFORM_DAYS_DEFAULT })) },
  { additionalProperties: false },
);

export const PlatformAnswer = Type.Object(
  { ...Platform.properties, computed_at: ComputedAt },
  { $id: 'PlatformAnswer' },
);
