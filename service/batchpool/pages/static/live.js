// Follows what a page shows; filled in with the live fragments.
export {};
