"""The process: five state machines, the saga that moves projects, and the in-process runtime."""
