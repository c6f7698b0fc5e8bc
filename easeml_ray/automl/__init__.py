"""TenantScheduler: searches of all tenants on one pool of workers."""
