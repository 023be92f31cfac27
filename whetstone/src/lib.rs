//! whetstone
