export { Alert, AlertFilter, CHANNELS, type ChannelName } from './alert.ts';
export type { Channel, Delivery, Notice } from './channel.ts';
export { ALERT_CODES, observe } from './conditions.ts';
export { type AlertsConfig, beat, channelsOf } from './configured.ts';
export type { Http } from './send.ts';
export { slackText } from './slack.ts';
export { type AlertStore, createAlertStore } from './store.ts';
export { type AlertWatch, type AlertWatchOptions, createAlertWatch } from './watch.ts';
