/** Profiles, relations and invitations as reads show them. */
import type { Context } from '../world/context.ts';
import type { Account, Invitation, Person } from '../world/model.ts';
import { relativeDate } from './relative-date.ts';

interface Standing {
  readonly isSelf: boolean;
  readonly isConnected: boolean;
  readonly invitation: Invitation | undefined;
}

export function profileWire(person: Person, standing: Standing): Record<string, unknown> {
  const { first, last } = namesOf(person.name);
  return {
    object: 'UserProfile',
    provider: 'LINKEDIN',
    provider_id: person.providerId,
    public_identifier: person.publicIdentifier,
    first_name: first,
    last_name: last,
    headline: person.headline,
    websites: [],
    is_self: standing.isSelf,
    is_relationship: standing.isConnected,
    ...(standing.isSelf ? {} : { network_distance: standing.isConnected ? 'FIRST_DEGREE' : 'SECOND_DEGREE' }),
    ...(standing.invitation === undefined ? {} : { invitation: { type: 'SENT', status: 'PENDING' } }),
    public_profile_url: `https://www.linkedin.com/in/${person.publicIdentifier}`,
  };
}

export function ownProfileWire(context: Context, account: Account): Record<string, unknown> {
  const { first, last } = namesOf(account.name);
  return {
    object: 'AccountOwnerProfile',
    provider: 'LINKEDIN',
    provider_id: account.providerId,
    entity_urn: `urn:li:fsd_profile:${account.providerId}`,
    object_urn: memberUrn(context, account.providerId),
    first_name: first,
    last_name: last,
    profile_picture_url: null,
    public_profile_url: `https://www.linkedin.com/in/${account.publicIdentifier}`,
    public_identifier: account.publicIdentifier,
    headline: 'Account owner',
    email: `${account.publicIdentifier}@example.com`,
    premium: false,
    open_profile: false,
    occupation: 'Account owner',
    recruiter: null,
    sales_navigator: null,
    organizations: account.organizations.map(({ id, name }) => ({
      id,
      name,
      organization_urn: `urn:li:fsd_company:${id}`,
      mailbox_urn: `urn:li:fsd_pageMailbox:${id}`,
    })),
  };
}

/** `created_at` is in milliseconds here, unlike everywhere else. */
export function relationWire(context: Context, person: Person, account: Account): Record<string, unknown> {
  const { first, last } = namesOf(person.name);
  return {
    object: 'UserRelation',
    member_id: person.providerId,
    member_urn: memberUrn(context, person.providerId),
    connection_urn: `urn:li:fsd_connection:${person.providerId}`,
    first_name: first,
    last_name: last,
    headline: person.headline,
    public_identifier: person.publicIdentifier,
    public_profile_url: `https://www.linkedin.com/in/${person.publicIdentifier}`,
    created_at: account.createdAt.getTime(),
  };
}

export function invitationWire(invitation: Invitation, person: Person, now: Date): Record<string, unknown> {
  return {
    object: 'InvitationSent',
    id: invitation.id,
    date: relativeDate(invitation.at, now),
    parsed_datetime: invitation.at.toISOString(),
    invitation_text: invitation.text,
    invited_user: person.name,
    invited_user_id: person.providerId,
    invited_user_public_id: person.publicIdentifier,
    invited_user_description: person.headline,
  };
}

export function memberUrn(context: Context, providerId: string): string {
  return `urn:li:member:${context.ids.pick(`member/${providerId}`, 1_000_000_000)}`;
}

function namesOf(name: string): { first: string; last: string } {
  const [first = '', ...rest] = name.split(' ');
  return { first, last: rest.join(' ') };
}
