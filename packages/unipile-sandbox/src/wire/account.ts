/** The live shape of a LinkedIn account. */
import type { Account } from '../world/model.ts';

export function accountWire(account: Account): Record<string, unknown> {
  return {
    object: 'Account',
    type: 'LINKEDIN',
    id: account.id,
    name: account.name,
    created_at: account.createdAt.toISOString(),
    groups: [],
    sources: [{ id: `${account.id}_MESSAGING`, status: account.status }],
    connection_params: {
      im: {
        id: account.providerId,
        publicIdentifier: account.publicIdentifier,
        username: account.name,
        connection_method: 'credentials',
        premiumId: null,
        premiumContractId: null,
        premiumFeatures: [],
        organizations: account.organizations.map(({ id, name }) => ({
          name,
          messaging_enabled: true,
          mailbox_urn: `urn:li:fsd_pageMailbox:${id}`,
          organization_urn: `urn:li:fsd_company:${id}`,
        })),
        proxy: { country: 'ES' },
      },
    },
  };
}
