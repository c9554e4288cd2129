// What a newcomer types: the same on every page, and each line works after those above it.

export const FIRST_TASK = "towpath run -- sh -c 'echo hello from $(hostname)'";
export const ADD_WORKSPACE = 'mkdir -p shop\ntowpath workspaces add shop "$PWD/shop"';
export const HOLD_PATH = "towpath run --workspace shop --path src -- sleep 60";
