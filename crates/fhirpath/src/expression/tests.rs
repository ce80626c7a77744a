mod features;
mod limits;
mod search_parameters;
mod shared;
mod suite;
mod xml;
