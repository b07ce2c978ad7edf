/** What the route about the audit trail takes and answers. */
import { AuditEntry, AuditFilter, Page, Paging } from '@revos/core/operations';
import Type from 'typebox';

export const AuditQuery = Type.Object(
  { ...AuditFilter.properties, ...Paging.properties },
  { additionalProperties: false },
);

export const AuditList = Page(AuditEntry);
