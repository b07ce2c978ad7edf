/** What the route about alerts takes and answers. */
import { Alert, AlertFilter } from '@revos/core/alerts';
import { Page, Paging } from '@revos/core/operations';
import Type from 'typebox';

export const AlertQuery = Type.Object(
  { ...AlertFilter.properties, ...Paging.properties },
  { additionalProperties: false },
);

export const AlertList = Page(Alert);
